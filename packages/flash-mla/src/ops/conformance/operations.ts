import type { HostTensor } from '@flash-mla/core';
import type { Device } from '../../runtime/device/device.ts';
import { packedRows } from '../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import {
  flashAttnVarlenFunc,
  flashAttnWithKvCache,
  flashMlaSparseFwd,
  flashMlaWithKvCache,
} from '../attention/index.ts';
import { appendKvCache, dequantizeKvCache, quantizeKvCache } from '../kv-cache/index.ts';
import { Inputs } from './inputs.ts';
import type {
  AnswerName,
  AppendKvCache,
  CacheAttention,
  DenseDecode,
  DequantizeKvCache,
  Problem,
  QuantizeKvCache,
  SparseDecode,
  SparsePrefill,
  VarlenAttention,
} from './problem.ts';
import type { Place } from './upload.ts';

/** How a problem is put to the public API; all ways must give the same answers. */
export interface Variant {
  /** The form of scheduling metadata: the object of the first call, or tensors computed before it. */
  readonly metadata?: 'object' | 'tensors';
  readonly deterministic?: boolean;
  /** Elements of poison between the rows of inputs; 0: contiguous inputs. */
  readonly gap?: number;
  /** Where tensors lie in memory, given outputs too; instead of `gap`. They are watched. */
  readonly placement?: Placement | undefined;
  /** `new`: the operation allocates its outputs. Default `given`. */
  readonly outputs?: 'given' | 'new';
  /** Metadata tensors serve all calls until {@link Operation.reset}. Default: computed for each. */
  readonly keepMetadata?: boolean;
  /** Varlen attention: the longest lengths that are stated. Default: the real ones. */
  readonly longest?: { readonly queries: number; readonly keys: number } | undefined;
}

/** Chooses a place for a tensor. */
export type Placement = (name: string, host: HostTensor, rule: PlacementRule) => Place;

/**
 * What the API asks of a tensor's strides: nothing but contiguous rows; all rows of one request and then
 * those of the next (`together`); no gap at all, `aligned` at a multiple of 16 bytes; no element twice (`disjoint`);
 * or those of packed rows.
 */
export type PlacementRule =
  | 'any'
  | 'together'
  | 'contiguous'
  | 'aligned'
  | 'disjoint'
  | 'v32'
  | 'model1';

/** A problem on a device, ready to be called any number of times. */
export interface Operation {
  /** Enqueues the operation, which overwrites {@link results}. */
  enqueue(): void;
  readonly results: Readonly<Partial<Record<AnswerName, Tensor>>>;
  /** Tensors of lengths and slots: what may change between the replays of a graph. */
  readonly lengths: readonly Lengths[];
  /** Where a call changes a tensor and does not overwrite all of it: makes it what it was before. */
  restore?(): void;
  /** Lengths have changed: metadata are computed again by the next call. */
  reset(): void;
  /** What the calls changed that they must not change, of what `placement` placed. */
  changes(): Promise<string[]>;
  dispose(): void;
}

/** A tensor whose values may change between calls and between the replays of a graph. */
export interface Lengths {
  /** The argument of the operation; of the second cache as `extra.name`. */
  readonly name: string;
  /** Those of the problem. */
  readonly values: LengthValues;
  /** Overwrites the tensor. */
  write(values: LengthValues): void;
}

export type LengthValues = Int32Array | BigInt64Array;

/** Uploads a problem. Throws what the API throws for it, at the latest in `enqueue`. */
export function prepare(device: Device, problem: Problem, variant: Variant = {}): Operation {
  const inputs = new Inputs(device, variant);
  try {
    return operations[problem.op](inputs, problem as never);
  } catch (error) {
    inputs.uploads.dispose();
    throw error;
  }
}

const operations: {
  readonly [Op in Problem['op']]: (
    inputs: Inputs,
    problem: Extract<Problem, { op: Op }>,
  ) => Operation;
} = {
  'dense-decode': denseDecode,
  'sparse-decode': sparseDecode,
  'sparse-prefill': sparsePrefill,
  'varlen-attention': varlenAttention,
  'cache-attention': cacheAttention,
  quantize,
  dequantize,
  append,
};

function outDType(q: HostTensor): 'bf16' | 'f16' {
  return q.dtype === 'f16' ? 'f16' : 'bf16';
}

function decodeOutputs(inputs: Inputs, q: HostTensor, headDimV: number) {
  const [b, sQ, hQ] = q.shape as [number, number, number];
  return {
    out: inputs.output('out', [b, sQ, hQ, headDimV], outDType(q)) as Tensor<'bf16'> | undefined,
    lse: inputs.output('lse', [b, hQ, sQ], 'f32'),
  };
}

function denseDecode(inputs: Inputs, problem: DenseDecode): Operation {
  const { headDimV, softmaxScale, causal } = problem;
  const { deterministic } = inputs.variant;
  const outputs = decodeOutputs(inputs, problem.q, headDimV);
  const q = inputs.put('q', problem.q);
  const kCache = inputs.put('kCache', problem.kCache);
  const blockTable = inputs.put('blockTable', problem.blockTable);
  const cacheSeqlens = inputs.putLengths('cacheSeqlens', problem.cacheSeqlens);
  const descale = (name: string, value: number | undefined) =>
    value === undefined
      ? undefined
      : inputs.putVector(name, { dtype: 'f32', shape: [1], data: Float32Array.of(value) });
  const descaleQ = descale('descaleQ', problem.descaleQ);
  const descaleK = descale('descaleK', problem.descaleK);
  const shape = { q: problem.q, hK: problem.kCache.shape[2] as number, headDimV };
  const run = inputs.decode(cacheSeqlens, shape, { isFp8: q.dtype === 'e4m3' }, (scheduling) =>
    inputs.keep(
      flashMlaWithKvCache({
        ...scheduling,
        ...outputs,
        q: q as Tensor<'bf16'>,
        kCache: kCache as Tensor<'bf16'>,
        blockTable,
        cacheSeqlens,
        headDimV,
        softmaxScale,
        causal,
        deterministic,
        descaleQ: descaleQ as never,
        descaleK: descaleK as never,
      }),
    ),
  );
  return inputs.operation(run);
}

function sparseDecode(inputs: Inputs, problem: SparseDecode): Operation {
  const { layout, headDimV, softmaxScale, extra } = problem;
  const { deterministic } = inputs.variant;
  const b = problem.q.shape[0] as number;
  const outputs = decodeOutputs(inputs, problem.q, headDimV);
  const q = inputs.put('q', problem.q) as Tensor<'bf16'>;
  const kCache = inputs.putCache('kCache', layout, problem.kCache) as Tensor<'u8'>;
  const indices = inputs.put('indices', problem.indices);
  const topkLength = problem.topkLength && inputs.putLengths('topkLength', problem.topkLength);
  const extraKCache =
    extra && (inputs.putCache('extraKCache', layout, extra.kCache) as Tensor<'u8'>);
  const extraIndicesInKvCache = extra && inputs.put('extraIndicesInKvCache', extra.indices);
  const extraTopkLength =
    extra?.topkLength && inputs.putLengths('extra.topkLength', extra.topkLength);
  const attnSink = problem.attnSink && inputs.putVector('attnSink', problem.attnSink);
  const anyLengths = inputs.uploads.put({ dtype: 'i32', shape: [b], data: new Int32Array(b) });
  const sparse = {
    isFp8: layout !== 'bf16',
    topk: problem.indices.shape[2] as number,
    extraTopk: extra ? (extra.indices.shape[2] as number) : 0,
    topkLength,
    extraTopkLength,
  };
  const run = inputs.decode(anyLengths, { q: problem.q, hK: 1, headDimV }, sparse, (scheduling) =>
    inputs.keep(
      flashMlaWithKvCache({
        ...scheduling,
        ...outputs,
        q,
        kCache,
        indices,
        topkLength,
        extraKCache,
        extraIndicesInKvCache,
        extraTopkLength,
        attnSink,
        headDimV,
        softmaxScale,
        deterministic,
      }),
    ),
  );
  return inputs.operation(run);
}

function sparsePrefill(inputs: Inputs, problem: SparsePrefill): Operation {
  const { smScale, dV } = problem;
  const [sQ, hQ] = problem.q.shape as [number, number, number];
  const options = {
    q: inputs.put('q', problem.q) as Tensor<'bf16'>,
    kv: inputs.put('kv', problem.kv) as Tensor<'bf16'>,
    indices: inputs.put('indices', problem.indices),
    topkLength: problem.topkLength && inputs.putLengths('topkLength', problem.topkLength),
    attnSink: problem.attnSink && inputs.putVector('attnSink', problem.attnSink),
    smScale,
    dV,
    out: inputs.output('out', [sQ, hQ, dV], 'bf16'),
    lse: inputs.output('lse', [sQ, hQ], 'f32'),
    maxLogits: inputs.output('max_logits', [sQ, hQ], 'f32'),
  };
  return inputs.operation(() => {
    const { out, lse, maxLogits } = flashMlaSparseFwd(options);
    inputs.keep({ out, lse, max_logits: maxLogits });
  });
}

function varlenAttention(inputs: Inputs, problem: VarlenAttention): Operation {
  const { softmaxScale, causal } = problem;
  const [totalQ, hQ] = problem.q.shape as [number, number, number];
  const dV = problem.v.shape[2] as number;
  const { queries, keys } = inputs.variant.longest ?? {
    queries: Math.min(totalQ, longest(problem.cuSeqlensQo)),
    keys: Math.min(problem.k.shape[0] as number, longest(problem.cuSeqlensKv)),
  };
  const options = {
    q: inputs.put('q', problem.q) as Tensor<'bf16'>,
    k: inputs.put('k', problem.k) as Tensor<'bf16'>,
    v: inputs.put('v', problem.v) as Tensor<'bf16'>,
    cuSeqlensQo: inputs.putLengths('cuSeqlensQo', problem.cuSeqlensQo),
    cuSeqlensKv: inputs.putLengths('cuSeqlensKv', problem.cuSeqlensKv),
    maxSeqlenQo: queries,
    maxSeqlenKv: keys,
    softmaxScale,
    causal,
    out: inputs.output('out', [totalQ, hQ, dV], outDType(problem.q)) as Tensor<'bf16'> | undefined,
    lse: inputs.output('lse', [hQ, totalQ], 'f32'),
  };
  return inputs.operation(() => inputs.keep(flashAttnVarlenFunc(options)));
}

function cacheAttention(inputs: Inputs, problem: CacheAttention): Operation {
  const { softmaxScale, causal } = problem;
  const [b, sQ, hQ] = problem.q.shape as [number, number, number];
  const shape = [b, sQ, hQ, problem.vCache.shape[3] as number];
  const options = {
    q: inputs.put('q', problem.q, 'together') as Tensor<'bf16'>,
    kCache: inputs.put('kCache', problem.kCache) as Tensor<'bf16'>,
    vCache: inputs.put('vCache', problem.vCache) as Tensor<'bf16'>,
    cacheSeqlens: inputs.putLengths('cacheSeqlens', problem.cacheSeqlens),
    blockTable: problem.blockTable && inputs.put('blockTable', problem.blockTable),
    softmaxScale,
    causal,
    out: inputs.output('out', shape, outDType(problem.q)) as Tensor<'bf16'> | undefined,
  };
  // The function has no `lse` to write to, so its own is kept.
  return inputs.operation(() => inputs.keep(flashAttnWithKvCache(options)));
}

function quantize(inputs: Inputs, { layout, kCache }: QuantizeKvCache): Operation {
  const [blocks, page] = kCache.shape as [number, number];
  const { rowBytes } = packedRows[layout];
  const data = new Uint8Array(blocks * page * rowBytes).fill(0xa5);
  const empty = { dtype: 'u8', shape: [blocks, page, 1, rowBytes], data } as const;
  const given = inputs.givenOutput('out', empty, layout, (host) =>
    inputs.uploads.putPacked(layout, host),
  );
  const source = inputs.put('kCache', kCache, 'contiguous');
  return inputs.operation(() =>
    inputs.keep({ out: quantizeKvCache({ kCache: source, layout, out: given }) }),
  );
}

function dequantize(inputs: Inputs, { layout, kCache }: DequantizeKvCache): Operation {
  const [blocks, page] = kCache.shape as [number, number];
  const shape = [blocks, page, 1, packedRows[layout].headDimQk];
  const given = inputs.output('out', shape, 'bf16');
  const source = inputs.putCache('kCache', layout, kCache) as Tensor<'u8'>;
  return inputs.operation(() =>
    inputs.keep({ out: dequantizeKvCache({ kCache: source, layout, out: given }) }),
  );
}

/** The cache is the result, as far as rows are written to it. */
function append(inputs: Inputs, { layout, kCache, rows, slots }: AppendKvCache): Operation {
  const cache = inputs.putWritable('out', layout === 'plain' ? 'disjoint' : layout, kCache);
  const source = inputs.put('rows', rows) as Tensor<'bf16'>;
  const place = inputs.putLengths('slots', slots) as Tensor<'i32'>;
  const run = () =>
    inputs.keep({
      out: appendKvCache({ kCache: cache as Tensor<'bf16'>, rows: source, slots: place }),
    });
  return { ...inputs.operation(run), restore: () => inputs.uploads.restore(cache) };
}

function longest({ data }: HostTensor<'i32'>): number {
  return data.reduce((most, end, i) => Math.max(most, end - (data[i - 1] ?? end)), 0);
}
