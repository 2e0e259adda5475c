export { Engine, type EngineStats } from './engine.ts';
export { EngineLoop, type EngineLoopHooks } from './engine-loop.ts';
export {
  ConstraintError,
  EngineError,
  EngineOptionError,
  EngineStoppedError,
  InvalidRequestError,
  KvCacheError,
  type Problem,
  QueueFullError,
  RequestTooLongError,
  RunnerError,
} from './errors.ts';
export { HiSparseError } from './hisparse/errors.ts';
export {
  type AllocateHostMemory,
  type HostMemory,
  ordinaryMemory,
} from './hisparse/memory/host-memory.ts';
export {
  type HotBufferState,
  HotBuffers,
  type HotBuffersShape,
  type HotBufferTables,
  hotBufferTableBytes,
} from './hisparse/memory/hot-buffers.ts';
export { copyPages, PagedRows, type PagedRowsShape } from './hisparse/memory/paged-rows.ts';
export {
  checkHiSparseRoom,
  type HiSparseModel,
  type HiSparseOptions,
  hiSparseOptions,
  parseHiSparseConfig,
} from './hisparse/options.ts';
export type { SwapInSizes } from './hisparse/sizes.ts';
export type { HiSparseStats } from './hisparse/stats.ts';
export type { PagePair, PageTransfers } from './hisparse/transfers.ts';
export { BlockTable, KvCache, type KvCacheOptions, type OpenCost } from './kv-cache/kv-cache.ts';
export { type CacheTag, type PageKey, PageKeys, rootKey } from './kv-cache/page-key.ts';
export { PagePool } from './kv-cache/page-pool.ts';
export type { EngineOptions, ResolvedOptions } from './options.ts';
export type { RequestOptions } from './request/options.ts';
export type { Outcome, RequestState, RequestStats } from './request/state.ts';
export { defaultBatchSizes } from './runner/batch-sizes.ts';
export type { TokenLogprob, TokenLogprobs } from './runner/logprobs.ts';
export type {
  BatchPlan,
  Decode,
  ModelRunner,
  PrefillChunk,
  SlotStart,
  StepOutput,
  SwapInTotals,
} from './runner/model-runner.ts';
export type { SamplingParams } from './runner/sampling-params.ts';
export {
  allows,
  type StepMasks,
  type TokenConstraint,
  type TokenMask,
} from './runner/token-mask.ts';
export { logprobsOf } from './sampling/logprobs-of.ts';
export { randomAt } from './sampling/random-number.ts';
export { type Sampled, Sampler } from './sampling/sampler.ts';
export type { EngineEvent, Totals } from './scheduler/lifecycle.ts';
