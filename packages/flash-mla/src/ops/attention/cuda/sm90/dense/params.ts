import { array, global, type ParamDecls, tensorMap } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { denseListParams, denseScalarParams } from '../../decode-params.ts';
import { decodeResultParams } from '../../decode-results.ts';

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
    ...denseListParams,
    ...decodeResultParams(outElement),
    ...extra,
    /** Elements between requests, queries and heads. */
    qStrides: array('u64', 3),
    ...denseScalarParams,
  }) as const satisfies ParamDecls;

/** Those that all of them have. */
export type DecodeParams<S extends Element | 'e4m3'> = ReturnType<
  typeof decodeParams<S, Record<never, never>>
>;
