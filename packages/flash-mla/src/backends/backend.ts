/**
 * The one contract between the library and a device.
 *
 * The API layer validates everything, allocates the outputs and then calls exactly one method per
 * public operation. A backend trusts its arguments: shapes, dtypes and strides are as documented
 * here. Every method that touches memory only enqueues; work runs in the order of the calls.
 */

import type { DType } from '../tensor/dtype.ts';

/** A span of device memory, owned by the backend that allocated it. */
export interface BackendBuffer {
  readonly byteLength: number;
}

/** What a backend sees of a tensor. Strides count elements and are never negative. */
export interface TensorView {
  readonly buffer: BackendBuffer;
  /** Byte offset of element [0, 0, …] in `buffer`. */
  readonly byteOffset: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Which device a backend opened. */
export interface DeviceInfo {
  readonly backend: 'cpu' | 'cuda' | 'webgpu' | 'sim';
  /** The spec that opens this device again, e.g. `cuda:1`. */
  readonly id: string;
  /** Human-readable name, e.g. `NVIDIA H200`. */
  readonly name: string;
  /** Parallel workers of the device: threads on the CPU, multiprocessors on a GPU. */
  readonly parallelism: number;
  /** Total device memory in bytes, where known. */
  readonly memoryBytes?: number;
  /** Backend-specific facts for `doctor`, in display order. */
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

/** Device memory in bytes. */
export interface MemoryStats {
  /** Held by live tensors. */
  readonly allocated: number;
  /** Taken from the system, including caches and workspaces. */
  readonly reserved: number;
  /** Largest `allocated` so far. */
  readonly peak: number;
}

/** The three row formats of a sparse decode cache (DESIGN §3). */
export type KvRowLayout = 'v32' | 'model1' | 'bf16';

/** How decoding work is cut; decided by the backend from the problem, pure and printable. */
export interface SchedulePlan {
  /** Rows of the tile-scheduler metadata: how many parts run side by side. */
  readonly numParts: number;
  /** Tokens of one block, the unit in which sequences are split. */
  readonly blockTokens: number;
  /** Cost of starting a request, in blocks. */
  readonly overheadBlocks: number;
  /**
   * 0: a request may be cut at any block, so that parts are balanced. Above 0 (deterministic): every
   * request is cut after each `splitBlocks` blocks whatever else is in the batch, parts begin and end
   * at such cuts, and a part may hold several splits of one request.
   */
  readonly splitBlocks: number;
}

/** What decides a schedule, without the lengths themselves. */
export interface ScheduleProblem {
  readonly kind: 'dense' | 'sparse';
  readonly batch: number;
  readonly seqLenQ: number;
  readonly numHeadsQ: number;
  readonly numHeadsKv: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  /** Sparse: top-k width of the main cache and of the extra cache (0 = none). */
  readonly topk?: number;
  readonly extraTopk?: number;
  /** Dense: whether queries and cache are e4m3. Sparse: whether rows are packed FP8. */
  readonly isFp8: boolean;
  /** Dense: the longest sequence that the block table can hold, in tokens. */
  readonly maxSeqLenK?: number;
  /** Split each request the same way in any batch (`SchedulePlan.splitBlocks` above 0). */
  readonly deterministic: boolean;
}

/** Tile-scheduler metadata and split prefix sums, as the API hands them to a backend. */
export interface Schedule {
  /** i32 (numParts, 8). */
  readonly metadata: TensorView;
  /** i32 (b + 1), prefix sums of the number of splits of each request. */
  readonly numSplits: TensorView;
  readonly plan: SchedulePlan;
}

/** Arguments of {@link Backend.computeSchedule}. */
export interface ComputeScheduleArgs {
  readonly problem: ScheduleProblem;
  readonly plan: SchedulePlan;
  /** Dense: i32 (b). Sparse: absent. */
  readonly seqlens?: TensorView;
  /** Sparse, i32 (b): attended entries of `indices` / `extraIndices`; absent means all of them. */
  readonly topkLength?: TensorView;
  readonly extraTopkLength?: TensorView;
  /** Outputs: i32 (numParts, 8) and i32 (b + 1). */
  readonly metadata: TensorView;
  readonly numSplits: TensorView;
}

/** Dense MLA decoding over a paged cache. */
export interface DenseDecodeArgs {
  /** (b, sQ, hQ, dQk) bf16, f16 or e4m3. */
  readonly q: TensorView;
  /** (blocks, page, hK, dQk), the dtype of q. V is the first `headDimV` columns of a row. */
  readonly kCache: TensorView;
  /** i32 (b, maxBlocks). */
  readonly blockTable: TensorView;
  /** i32 (b): tokens of each request; below 0 counts as 0, beyond maxBlocks·page as that. */
  readonly seqlens: TensorView;
  readonly headDimV: number;
  readonly softmaxScale: number;
  /** Query i of sQ sees keys up to seqlen − sQ + i. */
  readonly causal: boolean;
  /** f32 (1) each; e4m3 only. Not negative. Logits scale by descaleQ·descaleK, the output by descaleK. */
  readonly descaleQ?: TensorView;
  readonly descaleK?: TensorView;
  readonly schedule: Schedule;
  /** Output (b, sQ, hQ, headDimV), contiguous; bf16 where q is e4m3, else the dtype of q. */
  readonly out: TensorView;
  /** Output f32 (b, hQ, sQ), contiguous, natural log; +inf for rows that attend to nothing. */
  readonly lse: TensorView;
}

/** One cache of a sparse decode call. */
export interface SparseCache {
  /**
   * u8 (blocks, page, 1, rowBytes) for `v32` and `model1`, bf16 (blocks, page, 1, dQk) for `bf16`.
   * For `model1` only shape, byteOffset and strides[0] (bytes between blocks) describe memory: a
   * block holds page×576 value bytes, then page×8 scale bytes.
   */
  readonly kCache: TensorView;
  /** i32 (b, sQ, topk): block·page + offset; anything outside the cache is skipped. */
  readonly indices: TensorView;
  /** i32 (b): entries of `indices` that count, clamped to 0…topk; absent means all. */
  readonly topkLength?: TensorView;
}

/** Token-sparse MLA decoding, one or two caches. One KV head. */
export interface SparseDecodeArgs {
  /** bf16 (b, sQ, hQ, dQk), dQk 576 (v32, bf16) or 512 (model1, bf16). */
  readonly q: TensorView;
  readonly layout: KvRowLayout;
  readonly main: SparseCache;
  readonly extra?: SparseCache;
  readonly headDimV: number;
  readonly softmaxScale: number;
  /** f32 (hQ): out is multiplied by exp(lse) / (exp(lse) + exp(sink)); lse is unchanged. */
  readonly attnSink?: TensorView;
  readonly schedule: Schedule;
  /** Output bf16 (b, sQ, hQ, headDimV), contiguous. */
  readonly out: TensorView;
  /** Output f32 (b, hQ, sQ), contiguous. */
  readonly lse: TensorView;
}

/** Token-sparse attention over an unpaged bf16 KV (prefill). Head h uses KV head h·hKv/hQ. */
export interface SparsePrefillArgs {
  /** bf16 (sQ, hQ, dQk). */
  readonly q: TensorView;
  /** bf16 (sKv, hKv, dQk). */
  readonly kv: TensorView;
  /** i32 (sQ, hKv, topk): rows of `kv`; anything outside is skipped. */
  readonly indices: TensorView;
  /** i32 (sQ): entries of `indices` that count, clamped to 0…topk; absent means all. */
  readonly topkLength?: TensorView;
  readonly smScale: number;
  readonly headDimV: number;
  /** f32 (hQ). */
  readonly attnSink?: TensorView;
  /** Output bf16 (sQ, hQ, headDimV), contiguous. */
  readonly out: TensorView;
  /** Outputs f32 (sQ, hQ), contiguous; the largest scaled logit, natural log. */
  readonly maxLogits: TensorView;
  readonly lse: TensorView;
}

/** Dense MHA/GQA over packed variable-length sequences, or over a (paged) cache. */
export interface DenseAttentionArgs {
  /** (totalQ, hQ, dQk) bf16 or f16. */
  readonly q: TensorView;
  /** (totalK, hK, dQk), or paged (blocks, page, hK, dQk) where `blockTable` is given. */
  readonly k: TensorView;
  /** (totalK, hK, dV), or paged (blocks, page, hK, dV). */
  readonly v: TensorView;
  /** i32 (b + 1): where each request's queries begin and end; absent: each has `maxSeqlenQ`. */
  readonly cuSeqlensQ?: TensorView;
  /** i32 (b + 1): where each request's keys begin and end; absent where `seqlensK` is given. */
  readonly cuSeqlensK?: TensorView;
  /** i32 (b): keys of each request in a cache, counted as in {@link DenseDecodeArgs.seqlens}. */
  readonly seqlensK?: TensorView;
  /** i32 (b, maxBlocks): pages of each request; absent means request i owns block i of k and v. */
  readonly blockTable?: TensorView;
  readonly maxSeqlenQ: number;
  readonly maxSeqlenK: number;
  readonly softmaxScale: number;
  /** Aligned to the end: the last query sees all keys. */
  readonly causal: boolean;
  /** Output (totalQ, hQ, dV), contiguous, the dtype of q. */
  readonly out: TensorView;
  /** Output f32 (hQ, totalQ), contiguous. */
  readonly lse: TensorView;
}

/** bf16 rows → packed FP8 rows. */
export interface QuantizeArgs {
  readonly layout: 'v32' | 'model1';
  /** bf16 (blocks, page, 1, dQk), contiguous. */
  readonly source: TensorView;
  /** u8 (blocks, page, 1, rowBytes); strides[0] may exceed page×rowBytes. */
  readonly target: TensorView;
}

/** Packed FP8 rows → bf16 rows. */
export interface DequantizeArgs {
  readonly layout: 'v32' | 'model1';
  /** u8 (blocks, page, 1, rowBytes). */
  readonly source: TensorView;
  /** bf16 (blocks, page, 1, dQk), contiguous. */
  readonly target: TensorView;
}

/** Rows → the tokens of a paged cache that slots name. */
export interface AppendArgs {
  /** `plain`: a row of the cache is the row as it is given. */
  readonly layout: 'v32' | 'model1' | 'plain';
  /** (n, heads, dQk), n at least 1, any outer strides: bf16, or, plain, the dtype of the cache. */
  readonly rows: TensorView;
  /** i32 or i64 (n): block·page + offset; what is outside the cache is skipped. */
  readonly slots: TensorView;
  /** (blocks, page, heads, dQk), or u8 (blocks, page, 1, rowBytes) as in {@link SparseCache}. */
  readonly kCache: TensorView;
}

/** A recorded sequence of operations; lengths on the device may change between replays. */
export interface BackendGraph {
  replay(): void;
  dispose(): void;
}

/** Limits of a device, measured on it: what a benchmark compares its figures with. */
export interface DeviceCeilings {
  /** Operations per second of the fastest multiply-add that kernels can use, on registers alone. */
  readonly flopsPerSecond?: number;
  /** What `flopsPerSecond` is, e.g. `f32x4.relaxed_madd on registers, 2 threads`. */
  readonly flopsOf?: string;
  /** Bytes per second read from memory; read and written by a copy. */
  readonly readBytesPerSecond?: number;
  readonly copyBytesPerSecond?: number;
  /** Last-level cache in bytes. */
  readonly cacheBytes?: number;
}

/** What only benchmarks ask of a backend. */
export interface BackendMeasurements {
  /** Seconds the device spends on what `enqueue` enqueues (events); absent: callers take wall time. */
  deviceTime?(enqueue: () => void): Promise<number>;
  /** Measures now: takes about a second. */
  ceilings?(): Promise<DeviceCeilings>;
}

/** One opened device. */
export interface Backend {
  readonly info: DeviceInfo;
  readonly measurements?: BackendMeasurements;

  /** Throws {@link OutOfMemoryError}. The contents are undefined. */
  allocate(byteLength: number): BackendBuffer;
  /** Gives memory back once all work enqueued so far is done. */
  release(buffer: BackendBuffer): void;
  /** Enqueues a copy to the device; `bytes` may change as soon as this returns. */
  write(buffer: BackendBuffer, byteOffset: number, bytes: Uint8Array): void;
  /** Bytes as they are once all work enqueued so far is done. Never blocks the event loop. */
  read(buffer: BackendBuffer, byteOffset: number, byteLength: number): Promise<Uint8Array>;
  /** Resolves once all work enqueued so far is done; rejects with what went wrong in it. */
  synchronize(): Promise<void>;
  memoryStats(): MemoryStats;

  /** How decoding work is cut on this device. Pure. */
  planSchedule(problem: ScheduleProblem): SchedulePlan;
  computeSchedule(args: ComputeScheduleArgs): void;

  denseDecode(args: DenseDecodeArgs): void;
  sparseDecode(args: SparseDecodeArgs): void;
  sparsePrefill(args: SparsePrefillArgs): void;
  denseAttention(args: DenseAttentionArgs): void;
  quantizeKvCache(args: QuantizeArgs): void;
  dequantizeKvCache(args: DequantizeArgs): void;
  appendKvCache(args: AppendArgs): void;

  /** Records what `enqueue` enqueues instead of running it. */
  capture(enqueue: () => void): BackendGraph;

  /** Stops the device; pending reads reject with {@link DeviceLostError}. Idempotent. */
  close(): Promise<void>;
}
