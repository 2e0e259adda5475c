import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkExtent,
  checkFlag,
  checkInnerStride,
  checkInteger,
  checkNotEmpty,
  checkOperand,
  checkScale,
  checkTensor,
  checkVector,
  optionNames,
  readOptions,
  shapeText,
  show,
} from '../../../runtime/operation/arguments.ts';
import { Outputs } from '../../../runtime/operation/outputs.ts';
import type { Tensor, TensorHost } from '../../../runtime/tensor/tensor.ts';
import { denseAttention } from '../operations.ts';
import { checkAttentionHeads, checkImplementation, checkNoDropout } from './dense-attention.ts';

/** Arguments of {@link flashAttnVarlenFunc}. */
export interface FlashAttnVarlenOptions<D extends 'bf16' | 'f16' = 'bf16' | 'f16'> {
  /** (totalQ, hQ, dQk), any outer strides. */
  readonly q: Tensor<D>;
  /** (totalK, hK, dQk), any outer strides; hK divides hQ. */
  readonly k: Tensor<NoInfer<D>>;
  /** (totalK, hK, dV), any outer strides. */
  readonly v: Tensor<NoInfer<D>>;
  /** i32 (b + 1): request i owns queries cuSeqlensQo[i] to cuSeqlensQo[i + 1]. */
  readonly cuSeqlensQo: Tensor<'i32'>;
  /** i32 (b + 1): likewise for keys. */
  readonly cuSeqlensKv: Tensor<'i32'>;
  /** The most queries of a request. */
  readonly maxSeqlenQo: number;
  /** The most keys of a request. */
  readonly maxSeqlenKv: number;
  /** Only 0: dropout belongs to training. */
  readonly dropoutP?: 0 | undefined;
  /** Factor of the logits, a normal float32: 2^-126 to 3.4e38. Default 1/√dQk. */
  readonly softmaxScale?: number | null | undefined;
  /** Aligned to the end: the last query of a request sees all its keys. Default false. */
  readonly causal?: boolean | undefined;
  /** Always so: a request's bits do not depend on the rest of the batch. */
  readonly deterministic?: boolean | undefined;
  /** False promises that every request has exactly `maxSeqlenQo` queries and `maxSeqlenKv` keys. */
  readonly isVarlen?: boolean | undefined;
  /** `'auto'` or the name of a kernel family of the device: its backend's name. */
  readonly implementation?: 'auto' | (string & {}) | undefined;
  /** Outputs to write to instead of new ones, contiguous, `out` aligned to 16 bytes. */
  readonly out?: Tensor<NoInfer<D>> | null | undefined;
  readonly lse?: Tensor<'f32'> | null | undefined;
}

/** What {@link flashAttnVarlenFunc} gives back. Both are the caller's to dispose of. */
export interface VarlenResult<D extends 'bf16' | 'f16' = 'bf16' | 'f16'> {
  /** (totalQ, hQ, dV). */
  readonly out: Tensor<D>;
  /** f32 (hQ, totalQ), natural log; +inf for rows that attend to nothing. */
  readonly lse: Tensor<'f32'>;
}

const known = optionNames<keyof FlashAttnVarlenOptions>(
  'q',
  'k',
  'v',
  'cuSeqlensQo',
  'cuSeqlensKv',
  'maxSeqlenQo',
  'maxSeqlenKv',
  'dropoutP',
  'softmaxScale',
  'causal',
  'deterministic',
  'isVarlen',
  'implementation',
  'out',
  'lse',
);

/**
 * Dense MHA or GQA over packed sequences of different lengths. Returns at once; `out.read()` waits.
 *
 * Offsets live on the device and are not checked: one outside 0…total counts as the nearest, a request
 * that ends before it begins has no rows, queries beyond `maxSeqlenQo` do not count. Rows of q that no
 * request owns leave `out` and `lse` as they were. Offsets must not fall: which of several requests that
 * own a row writes it is undefined (found where the device was opened with `debug`).
 *
 * Source: FlashMLA's `flash_attn_varlen_func`, forward only.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError}.
 */
export function flashAttnVarlenFunc<D extends 'bf16' | 'f16'>(
  options: FlashAttnVarlenOptions<D>,
): VarlenResult<D> {
  const given = readOptions(options, known);
  const { q, k, v, cuSeqlensQo, cuSeqlensKv } = given;
  checkTensor('q', q, 3);
  const { device } = q;
  if (q.dtype !== 'bf16' && q.dtype !== 'f16') {
    throw new InvalidArgumentError('q', 'dtype bf16 or f16', show(q));
  }
  checkRows('q', q, q.dtype, device);
  checkRows('k', k, q.dtype, device);
  checkRows('v', v, q.dtype, device);
  const [totalQ, hQ, dQk] = q.shape as [number, number, number];
  const [totalK, hK] = k.shape as [number, number, number];
  const dV = v.shape[2] as number;
  checkExtent('k', k, 2, dQk, 'dQk of q');
  checkExtent('v', v, 0, totalK, 'totalK of k');
  checkExtent('v', v, 1, hK, 'hK of k');
  checkAttentionHeads(hQ, hK, 'k.shape[1]', ['q.shape[2]', dQk], ['v.shape[2]', dV]);

  checkTensor('cuSeqlensQo', cuSeqlensQo, 1);
  const b = (cuSeqlensQo.shape[0] as number) - 1;
  if (b < 1) {
    throw new InvalidArgumentError('cuSeqlensQo', 'shape (b + 1) with b ≥ 1', show(cuSeqlensQo));
  }
  checkVector('cuSeqlensQo', cuSeqlensQo, 'i32', device, b + 1, 'b + 1');
  checkVector('cuSeqlensKv', cuSeqlensKv, 'i32', device, b + 1, 'b + 1');
  const maxSeqLenQ = checkInteger('maxSeqlenQo', given.maxSeqlenQo, 0, totalQ);
  const maxSeqLenK = checkInteger('maxSeqlenKv', given.maxSeqlenKv, 0, totalK);
  if (!checkFlag('isVarlen', given.isVarlen, true)) {
    checkUniform('q', q, b, 'maxSeqlenQo', maxSeqLenQ);
    checkUniform('k', k, b, 'maxSeqlenKv', maxSeqLenK);
  }
  const softmaxScale = checkScale('softmaxScale', given.softmaxScale, dQk);
  const causal = checkFlag('causal', given.causal, false);
  checkFlag('deterministic', given.deterministic, true);
  checkNoDropout(given.dropoutP);
  checkImplementation(given.implementation, device);

  const outputs = new Outputs(device);
  try {
    const out = outputs.take('out', given.out, [totalQ, hQ, dV], q.dtype);
    const lse = outputs.take('lse', given.lse, [hQ, totalQ], 'f32');
    device.backend.run(denseAttention, {
      q,
      k,
      v,
      cuSeqlensQ: cuSeqlensQo,
      cuSeqlensK: cuSeqlensKv,
      maxSeqLenQ,
      maxSeqLenK,
      softmaxScale,
      causal,
      out,
      lse,
    });
    return { out, lse };
  } catch (error) {
    outputs.release();
    throw error;
  }
}

function checkRows(name: string, tensor: unknown, dtype: 'bf16' | 'f16', device: TensorHost): void {
  checkOperand(name, tensor, 3, dtype, device);
  checkNotEmpty(name, tensor);
  checkInnerStride(name, tensor);
}

function checkUniform(name: string, tensor: Tensor, b: number, maxName: string, max: number): void {
  if (tensor.shape[0] === b * max) return;
  throw new InvalidArgumentError(
    'isVarlen',
    `true, or ${name} with b · ${maxName} = ${b * max} rows`,
    `false and ${name} of ${shapeText(tensor)}`,
  );
}
