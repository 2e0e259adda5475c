import { type array, global, type ParamDecls } from '@flash-mla/ptx';
import type { Element } from '../../kernel-lib/cuda/element.ts';
import type { decodeResultParams } from './decode-results.ts';

/** Where decoding finds its schedule, and what it was planned for: see `SchedulePointers`. */
export const scheduleParams = {
  metadata: global('s32'),
  numSplits: global('s32'),
  batch: 's32',
  mostBlocks: 's32',
  splitBlocks: 's32',
  mostSplits: 'u32',
  slots: 'u32',
} as const satisfies ParamDecls;

/** What dense decoding finds its work by. */
export const denseListParams = {
  /** (b, maxBlocks): an entry that is no block of the cache names nothing. */
  blockTable: global('u32'),
  /** (b). */
  seqlens: global('s32'),
  ...scheduleParams,
} as const satisfies ParamDecls;

/** Numbers of dense decoding. */
export const denseScalarParams = {
  blockTableStride: 'u32',
  /** Tokens that a row of the block table can name. */
  capacity: 's32',
  /** Query heads that share a KV head. */
  groupSize: 'u32',
  /** Blocks of the cache. */
  numBlocks: 'u32',
  /** 1: query i of sQ sees keys up to length − sQ + i. */
  causal: 'u32',
  /** Softmax scale · log2 e. */
  scale: 'f32',
} as const satisfies ParamDecls;

/** What the parameters of all decode kernels have in common. */
export type CommonDecodeParams = typeof scheduleParams &
  ReturnType<typeof decodeResultParams<Element>> &
  Pick<typeof denseScalarParams, 'scale'>;

/** What those of dense decoding have, beside keys. */
export type CommonDenseParams = typeof denseListParams &
  ReturnType<typeof decodeResultParams<Element>> &
  typeof denseScalarParams & {
    readonly q: ReturnType<typeof global<Element | 'e4m3'>>;
    /** Elements between requests, queries and heads. */
    readonly qStrides: ReturnType<typeof array<'u64'>>;
  };
