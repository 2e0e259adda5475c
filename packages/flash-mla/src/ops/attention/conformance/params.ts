import type { CallVariant } from '../../conformance/suite/call-variant.ts';

/**
 * What a conformance case of attention says about its problem. Sizes are FlashMLA's: b requests, sQ
 * queries each, sK keys, hQ and hKv heads of dQk and dV columns.
 */
export type AttentionParams =
  | DenseParams
  | SparseParams
  | PrefillParams
  | VarlenParams
  | CacheParams
  | ScheduleParams;

/**
 * How far logits spread: `flat` as in FlashMLA's tests (all keys weigh nearly the same), `normal` (a
 * deviation of ½), `peaky` (12: one or two keys take all; for long sequences only, because the bound of
 * lse is relative and lse must not come near 0).
 */
export type Sharpness = 'flat' | 'normal' | 'peaky';

interface Common extends CallVariant {
  readonly sharpness?: Sharpness;
}

/** Numbers on the device that are no mistake of the kernel's: what they mean is defined. */
interface OddNumbers {
  /** Some lengths or offsets are below 0, or above what there is: they count as the nearest. */
  readonly outOfRange?: boolean;
  /** Some entries of the block table are no blocks of the cache: their tokens are skipped. */
  readonly missingBlocks?: boolean;
  /** The cache has no blocks, or the block table no columns. */
  readonly empty?: 'blocks' | 'table';
}

export interface DenseParams extends Common, OddNumbers {
  readonly op: 'dense-decode';
  readonly b: number;
  readonly sQ: number;
  /** Tokens of each request, or their mean if `varlen`. */
  readonly sK: number;
  readonly hQ: number;
  readonly hKv: number;
  readonly varlen?: boolean;
  readonly causal?: boolean;
  /** `some`: every other request has no tokens. `all`: none has any. */
  readonly zeroLengths?: 'some' | 'all';
  /** Default bf16. */
  readonly dtype?: 'bf16' | 'f16' | 'e4m3';
  /** e4m3: give both descales. */
  readonly descales?: boolean;
  /** Default 64. */
  readonly page?: number;
  /** Default 576 and 512. */
  readonly dQk?: number;
  readonly dV?: number;
}

/** One cache of a sparse case. */
export interface CacheShape {
  /** Tokens of each request, or their mean if `varlen`. */
  readonly sK: number;
  readonly topk: number;
  readonly page: number;
  /** Give a top-k length for each request, some of them out of range. */
  readonly lengths?: boolean;
}

export interface SparseParams extends Common, Pick<OddNumbers, 'empty'> {
  readonly op: 'sparse-decode';
  readonly layout: 'v32' | 'model1' | 'bf16';
  readonly b: number;
  readonly sQ: number;
  readonly hQ: number;
  readonly cache: CacheShape;
  readonly extra?: CacheShape;
  /** 576 or 512; default that of the layout, 576 for bf16 rows. */
  readonly dQk?: number;
  readonly varlen?: boolean;
  readonly zeroLengths?: 'some' | 'all';
  /** `all`: no index of any query is valid. `rows`: so for some queries. */
  readonly invalid?: 'all' | 'rows';
  /** Indices come with repetitions. */
  readonly repeated?: boolean;
  /** v32: scales that are no powers of two, as other writers of this format make them. */
  readonly floatScales?: boolean;
  /** `infinite`: a third each of −inf, +inf and finite values. */
  readonly sink?: 'finite' | 'infinite';
}

export interface PrefillParams extends Common {
  readonly op: 'sparse-prefill';
  readonly sQ: number;
  readonly sKv: number;
  readonly topk: number;
  readonly hQ: number;
  /** Default 1. */
  readonly hKv?: number;
  readonly dQk: 576 | 512;
  readonly invalid?: 'all' | 'rows';
  readonly lengths?: boolean;
  readonly sink?: 'finite' | 'infinite';
}

/** Sizes of dense attention. */
export interface AttentionShape extends Common {
  readonly b: number;
  readonly sQ: number;
  readonly sK: number;
  readonly hQ: number;
  readonly hKv: number;
  readonly dQk: number;
  readonly dV: number;
  readonly causal?: boolean;
  readonly dtype?: 'bf16' | 'f16';
}

/** Lengths vary around sQ and sK, zeros among them. */
export interface VarlenParams extends AttentionShape, Pick<OddNumbers, 'outOfRange'> {
  readonly op: 'varlen-attention';
}

export interface CacheParams extends AttentionShape, OddNumbers {
  readonly op: 'cache-attention';
  /** Absent: no block table, each request owns a block that holds 1.5 · sK tokens. */
  readonly page?: number;
}

/** The metadata that the device computes, against the pure function on its own plan. */
export interface ScheduleParams extends CallVariant {
  readonly op: 'schedule';
  readonly kind: 'dense' | 'sparse';
  readonly b: number;
  /** Longest sequence, or width of `indices`. */
  readonly sK: number;
  readonly extraTopk?: number;
  readonly hQ: number;
}
