import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { Inputs } from '../../conformance/inputs.ts';
import { getMlaMetadata } from '../api/get-mla-metadata.ts';

/** Outputs have the dtype of float16 queries, else bf16. */
export function outDType(q: HostTensor): 'bf16' | 'f16' {
  return q.dtype === 'f16' ? 'f16' : 'bf16';
}

/** Outputs of a decode call, as the variant asks for them. */
export function decodeOutputs(inputs: Inputs, q: HostTensor, headDimV: number) {
  const [b, sQ, hQ] = q.shape as [number, number, number];
  return {
    out: inputs.output('out', [b, sQ, hQ, headDimV], outDType(q)) as Tensor<'bf16'> | undefined,
    lse: inputs.output('lse', [b, hQ, sQ], 'f32'),
  };
}

/** Makes a decode call with metadata of the form that the variant asks for. */
export function decodeCall(
  inputs: Inputs,
  seqlens: Tensor<'i32'>,
  shape: { readonly q: HostTensor; readonly hKv: number; readonly headDimV: number },
  sparse: Parameters<typeof getMlaMetadata>[6] & { readonly topk?: number; isFp8: boolean },
  call: (scheduling: { schedMeta: never; numSplits: never }) => void,
): () => void {
  const { deterministic = false, metadata = 'object', keepMetadata = false } = inputs.variant;
  if (metadata === 'object') {
    const [schedMeta, numSplits] = getMlaMetadata();
    inputs.uploads.own(schedMeta);
    inputs.onReset(() => schedMeta.reset());
    return () => call({ schedMeta: schedMeta as never, numSplits: numSplits as never });
  }
  const { q, hKv, headDimV } = shape;
  const [, sQ, hQ, headDimQk] = q.shape as [number, number, number, number];
  const { topk, isFp8, ...options } = sparse;
  const compute = () => {
    const [schedMeta, numSplits] = getMlaMetadata(
      seqlens,
      (sQ * hQ) / hKv,
      hKv,
      hQ,
      isFp8,
      topk ?? null,
      { ...options, headDimQk, headDimV, deterministic },
    );
    inputs.uploads.own(schedMeta);
    return { schedMeta: schedMeta as never, numSplits: numSplits as never };
  };
  let kept: ReturnType<typeof compute> | undefined;
  inputs.onReset(() => {
    kept = undefined;
  });
  return () => {
    kept = keepMetadata ? (kept ?? compute()) : compute();
    call(kept);
  };
}
