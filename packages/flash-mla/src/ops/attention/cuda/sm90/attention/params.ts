import { global, type ParamDecls, type ParamValues, tensorMap } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';

export const hopperMhaParams = (element: Element) =>
  ({
    /** (64 columns, heads, queries, tiles of columns). */
    q: tensorMap(element),
    /** (64 columns, tokens of a page or all, KV heads, pages or 1, tiles of columns). */
    k: tensorMap(element),
    v: tensorMap(element),
    /** (b + 1) where requests differ; else each has `lengthQ` queries, which is the most of a request. */
    cuSeqlensQ: global('s32'),
    lengthQ: 's32',
    /** `packed`: (b + 1) offsets up to `capacity`; otherwise (b) lengths, of which no more count. */
    lengthsK: global('s32'),
    capacity: 's32',
    /** (b, maxBlocks). */
    blockTable: global('u32'),
    blockTableStride: 'u32',
    /** Blocks of the cache. */
    numBlocks: 'u32',
    /** (totalQ, hQ, dV) and (hQ, totalQ). */
    out: global(element),
    lse: global('f32'),
    totalQ: 'u32',
    numHeadsQ: 'u32',
    /** Query heads that share a KV head. */
    groupSize: 'u32',
    batch: 'u32',
    /** Groups of heads that a tile can have, and how many of them are worked on side by side. */
    units: 'u32',
    unitsPerSection: 'u32',
    /** Tiles that CTAs have taken beyond their first; 0 before and after. */
    taken: global('u32'),
    /** 1: the last query sees all keys, each before it one fewer. */
    causal: 's32',
    /** Softmax scale · log2 e. */
    scale: 'f32',
  }) as const satisfies ParamDecls;

export type HopperMhaParams = ReturnType<typeof hopperMhaParams>;
export type Params = ParamValues<HopperMhaParams>;
