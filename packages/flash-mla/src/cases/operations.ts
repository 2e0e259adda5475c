import {
  appendKvCache,
  dequantizeKvCache,
  flashAttnVarlenFunc,
  flashAttnWithKvCache,
  flashMlaSparseFwd,
  flashMlaWithKvCache,
  getMlaMetadata,
  quantizeKvCache,
} from '../api/index.ts';
import type { Device } from '../device.ts';
import type { HostTensor } from '../reference/host-tensor.ts';
import type { DType } from '../tensor/dtype.ts';
import { packedRows } from '../tensor/packed-rows.ts';
import type { Tensor } from '../tensor/tensor.ts';
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
import { Uploads } from './upload.ts';

/** How a problem is put to the public API; all ways must give the same answers. */
export interface Variant {
  /** The form of scheduling metadata: the object of the first call, or tensors computed before it. */
  readonly metadata?: 'object' | 'tensors';
  readonly deterministic?: boolean;
  /** Elements of poison between the rows of inputs; 0: contiguous inputs. */
  readonly gap?: number;
}

/** A problem on a device, ready to be called any number of times. */
export interface Operation {
  /** Enqueues the operation, which overwrites {@link results}. */
  enqueue(): void;
  readonly results: Readonly<Partial<Record<AnswerName, Tensor>>>;
  /** Tensors of lengths and slots: what may change between the replays of a graph. */
  readonly lengths: readonly Lengths[];
  dispose(): void;
}

/** A tensor whose values may change between the replays of a graph. */
export interface Lengths {
  /** Writes the problem's values, or others. */
  write(which: 'own' | 'others'): void;
}

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

/** Uploads inputs the way the variant asks for, and remembers which of them are lengths or slots. */
class Inputs {
  readonly uploads: Uploads;
  readonly variant: Variant;
  readonly lengths: Lengths[] = [];
  readonly #gap: number;

  constructor(device: Device, variant: Variant) {
    this.uploads = new Uploads(device);
    this.variant = variant;
    this.#gap = variant.gap ?? 0;
  }

  put<D extends DType>(host: HostTensor<D>, rowsOnly = false): Tensor<D> {
    if (this.#gap === 0) return this.uploads.put(host);
    return this.uploads.putStrided(host, this.#gap, rowsOnly);
  }

  putOptional<D extends DType>(host: HostTensor<D> | undefined): Tensor<D> | undefined {
    return host && this.uploads.put(host);
  }

  putLengths(host: HostTensor<'i32'>): Tensor<'i32'> {
    const { data } = host;
    const tensor = this.uploads.put(host);
    this.lengths.push({
      write: (which) => tensor.write(which === 'own' ? data : data.map((n) => n >> 1)),
    });
    return tensor;
  }

  putSlots(host: HostTensor<'i32'> | HostTensor<'i64'>): Tensor<'i32'> | Tensor<'i64'> {
    if (host.dtype === 'i32') return this.putLengths(host as HostTensor<'i32'>);
    const { data } = host as HostTensor<'i64'>;
    const tensor = this.uploads.put(host as HostTensor<'i64'>);
    this.lengths.push({
      write: (which) => tensor.write(which === 'own' ? data : data.map((n) => n >> 1n)),
    });
    return tensor;
  }

  putOptionalLengths(host: HostTensor<'i32'> | undefined): Tensor<'i32'> | undefined {
    return host && this.putLengths(host);
  }

  /** A multiple of 16 keeps packed rows aligned as the API asks for. */
  putCache(layout: SparseDecode['layout'], host: HostTensor): Tensor {
    if (layout === 'bf16') return this.put(host);
    return this.uploads.putPacked(layout, host as HostTensor<'u8'>, this.#gap * 16);
  }

  operation(results: Operation['results'], enqueue: () => void): Operation {
    return { enqueue, results, lengths: this.lengths, dispose: () => this.uploads.dispose() };
  }

  /** Runs a decode call with metadata of the form that the variant asks for. */
  decode(
    seqlens: Tensor<'i32'>,
    shape: { readonly q: HostTensor; readonly hK: number; readonly headDimV: number },
    sparse: Parameters<typeof getMlaMetadata>[6] & { readonly topk?: number; isFp8: boolean },
    call: (scheduling: { schedMeta: never; numSplits: never }) => void,
  ): () => void {
    const { deterministic = false, metadata = 'object' } = this.variant;
    if (metadata === 'object') {
      const [schedMeta, numSplits] = getMlaMetadata();
      this.uploads.own(schedMeta);
      return () => call({ schedMeta: schedMeta as never, numSplits: numSplits as never });
    }
    const { q, hK, headDimV } = shape;
    const [, sQ, hQ, headDimQk] = q.shape as [number, number, number, number];
    const { topk, isFp8, ...options } = sparse;
    return () => {
      const [schedMeta, numSplits] = getMlaMetadata(
        seqlens,
        (sQ * hQ) / hK,
        hK,
        hQ,
        isFp8,
        topk ?? null,
        { ...options, headDimQk, headDimV, deterministic },
      );
      this.uploads.own(schedMeta);
      call({ schedMeta: schedMeta as never, numSplits: numSplits as never });
    };
  }
}

function outDType(q: HostTensor): 'bf16' | 'f16' {
  return q.dtype === 'f16' ? 'f16' : 'bf16';
}

function decodeResults(inputs: Inputs, q: HostTensor, headDimV: number) {
  const [b, sQ, hQ] = q.shape as [number, number, number];
  return {
    out: inputs.uploads.poisoned([b, sQ, hQ, headDimV], outDType(q)),
    lse: inputs.uploads.poisoned([b, hQ, sQ], 'f32'),
  };
}

function denseDecode(inputs: Inputs, problem: DenseDecode): Operation {
  const { headDimV, softmaxScale, causal } = problem;
  const { deterministic } = inputs.variant;
  const results = decodeResults(inputs, problem.q, headDimV);
  const q = inputs.put(problem.q);
  const kCache = inputs.put(problem.kCache);
  const blockTable = inputs.put(problem.blockTable);
  const cacheSeqlens = inputs.putLengths(problem.cacheSeqlens);
  const descale = (value: number | undefined) =>
    value === undefined
      ? undefined
      : inputs.uploads.put({ dtype: 'f32', shape: [1], data: Float32Array.of(value) });
  const descaleQ = descale(problem.descaleQ);
  const descaleK = descale(problem.descaleK);
  const shape = { q: problem.q, hK: problem.kCache.shape[2] as number, headDimV };
  const run = inputs.decode(cacheSeqlens, shape, { isFp8: q.dtype === 'e4m3' }, (scheduling) =>
    flashMlaWithKvCache({
      ...scheduling,
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
      out: results.out as Tensor<'bf16'>,
      lse: results.lse,
    }),
  );
  return inputs.operation(results, run);
}

function sparseDecode(inputs: Inputs, problem: SparseDecode): Operation {
  const { layout, headDimV, softmaxScale, extra } = problem;
  const { deterministic } = inputs.variant;
  const b = problem.q.shape[0] as number;
  const results = decodeResults(inputs, problem.q, headDimV);
  const q = inputs.put(problem.q) as Tensor<'bf16'>;
  const kCache = inputs.putCache(layout, problem.kCache) as Tensor<'u8'>;
  const indices = inputs.put(problem.indices);
  const topkLength = inputs.putOptionalLengths(problem.topkLength);
  const extraKCache = extra && (inputs.putCache(layout, extra.kCache) as Tensor<'u8'>);
  const extraIndicesInKvCache = extra && inputs.put(extra.indices);
  const extraTopkLength = inputs.putOptionalLengths(extra?.topkLength);
  const attnSink = inputs.putOptional(problem.attnSink);
  const anyLengths = inputs.uploads.put({ dtype: 'i32', shape: [b], data: new Int32Array(b) });
  const sparse = {
    isFp8: layout !== 'bf16',
    topk: problem.indices.shape[2] as number,
    extraTopk: extra ? (extra.indices.shape[2] as number) : 0,
    topkLength,
    extraTopkLength,
  };
  const run = inputs.decode(anyLengths, { q: problem.q, hK: 1, headDimV }, sparse, (scheduling) =>
    flashMlaWithKvCache({
      ...scheduling,
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
      out: results.out as Tensor<'bf16'>,
      lse: results.lse,
    }),
  );
  return inputs.operation(results, run);
}

function sparsePrefill(inputs: Inputs, problem: SparsePrefill): Operation {
  const { smScale, dV } = problem;
  const [sQ, hQ] = problem.q.shape as [number, number, number];
  const results = {
    out: inputs.uploads.poisoned([sQ, hQ, dV], 'bf16'),
    lse: inputs.uploads.poisoned([sQ, hQ], 'f32'),
    max_logits: inputs.uploads.poisoned([sQ, hQ], 'f32'),
  };
  const options = {
    q: inputs.put(problem.q) as Tensor<'bf16'>,
    kv: inputs.put(problem.kv) as Tensor<'bf16'>,
    indices: inputs.put(problem.indices),
    topkLength: inputs.putOptionalLengths(problem.topkLength),
    attnSink: inputs.putOptional(problem.attnSink),
    smScale,
    dV,
    out: results.out,
    lse: results.lse,
    maxLogits: results.max_logits,
  };
  return inputs.operation(results, () => flashMlaSparseFwd(options));
}

function varlenAttention(inputs: Inputs, problem: VarlenAttention): Operation {
  const { softmaxScale, causal } = problem;
  const [totalQ, hQ] = problem.q.shape as [number, number, number];
  const dtype = outDType(problem.q);
  const results = {
    out: inputs.uploads.poisoned([totalQ, hQ, problem.v.shape[2] as number], dtype),
    lse: inputs.uploads.poisoned([hQ, totalQ], 'f32'),
  };
  const options = {
    q: inputs.put(problem.q) as Tensor<'bf16'>,
    k: inputs.put(problem.k) as Tensor<'bf16'>,
    v: inputs.put(problem.v) as Tensor<'bf16'>,
    cuSeqlensQo: inputs.uploads.put(problem.cuSeqlensQo),
    cuSeqlensKv: inputs.uploads.put(problem.cuSeqlensKv),
    maxSeqlenQo: Math.min(totalQ, longest(problem.cuSeqlensQo)),
    maxSeqlenKv: Math.min(problem.k.shape[0] as number, longest(problem.cuSeqlensKv)),
    softmaxScale,
    causal,
    out: results.out as Tensor<'bf16'>,
    lse: results.lse,
  };
  return inputs.operation(results, () => flashAttnVarlenFunc(options));
}

function cacheAttention(inputs: Inputs, problem: CacheAttention): Operation {
  const { softmaxScale, causal } = problem;
  const [b, sQ, hQ] = problem.q.shape as [number, number, number];
  const shape = [b, sQ, hQ, problem.vCache.shape[3] as number];
  const out = inputs.uploads.poisoned(shape, outDType(problem.q)) as Tensor<'bf16'>;
  const options = {
    q: inputs.put(problem.q, true) as Tensor<'bf16'>,
    kCache: inputs.put(problem.kCache) as Tensor<'bf16'>,
    vCache: inputs.put(problem.vCache) as Tensor<'bf16'>,
    cacheSeqlens: inputs.putLengths(problem.cacheSeqlens),
    blockTable: problem.blockTable && inputs.put(problem.blockTable),
    softmaxScale,
    causal,
    out,
  };
  // The function has no `lse` to write to, so its own is kept.
  const results: Partial<Record<AnswerName, Tensor>> = { out };
  return inputs.operation(results, () => {
    results.lse = inputs.uploads.own(flashAttnWithKvCache(options).lse);
  });
}

function quantize(inputs: Inputs, { layout, kCache }: QuantizeKvCache): Operation {
  const [blocks, page] = kCache.shape as [number, number];
  const { rowBytes } = packedRows[layout];
  const empty = new Uint8Array(blocks * page * rowBytes).fill(0xa5);
  const shape = [blocks, page, 1, rowBytes];
  const out = inputs.uploads.putPacked(layout, { dtype: 'u8', shape, data: empty });
  const source = inputs.uploads.put(kCache);
  return inputs.operation({ out }, () => quantizeKvCache({ kCache: source, layout, out }));
}

function dequantize(inputs: Inputs, { layout, kCache }: DequantizeKvCache): Operation {
  const [blocks, page] = kCache.shape as [number, number];
  const out = inputs.uploads.poisoned([blocks, page, 1, packedRows[layout].headDimQk], 'bf16');
  const source = inputs.putCache(layout, kCache) as Tensor<'u8'>;
  return inputs.operation({ out }, () => dequantizeKvCache({ kCache: source, layout, out }));
}

function append(inputs: Inputs, { layout, kCache, rows, slots }: AppendKvCache): Operation {
  const out = inputs.putCache(layout === 'plain' ? 'bf16' : layout, kCache) as Tensor<'bf16'>;
  const source = inputs.put(rows) as Tensor<'bf16'>;
  const place = inputs.putSlots(slots);
  return inputs.operation({ out }, () =>
    appendKvCache({ kCache: out, rows: source, slots: place }),
  );
}

function longest({ data }: HostTensor<'i32'>): number {
  return data.reduce((most, end, i) => Math.max(most, end - (data[i - 1] ?? end)), 0);
}
