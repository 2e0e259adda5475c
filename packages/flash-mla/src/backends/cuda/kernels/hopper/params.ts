import { array, global, type ParamDecls, tensorMap } from '@flash-mla/ptx';
import { decodeResultParams } from '../mla/decode-results.ts';
import type { Element } from '../mla/tile.ts';

/** Parameters of the family's decode kernels; `extra` are those of one of them. */
export const decodeParams = <S extends Element | 'e4m3', E extends ParamDecls>(
  stored: S,
  outElement: Element,
  extra: E,
) =>
  ({
    /**
     * The cache: (64 columns, tokens of a page, 9 tiles, KV heads, pages), or of e4m3 (576 columns,
     * tokens of a page, KV heads, pages).
     */
    keys: tensorMap(stored),
    q: global(stored),
    /** (b, maxBlocks). */
    blockTable: global('u32'),
    /** (b). */
    seqlens: global('s32'),
    /** (parts, 8) and (b + 1). */
    metadata: global('s32'),
    numSplits: global('s32'),
    ...decodeResultParams(outElement),
    ...extra,
    /** Elements between requests, queries and heads. */
    qStrides: array('u64', 3),
    blockTableStride: 'u32',
    /** Tokens that a row of the block table can name. */
    capacity: 's32',
    /** Query heads that share a KV head. */
    groupSize: 'u32',
    splitBlocks: 's32',
    /** 1: query i of sQ sees keys up to length − sQ + i. */
    causal: 'u32',
    /** Softmax scale · log2 e. */
    scale: 'f32',
  }) as const satisfies ParamDecls;

/** Those that all of them have. */
export type DecodeParams<S extends Element | 'e4m3'> = ReturnType<
  typeof decodeParams<S, Record<never, never>>
>;
