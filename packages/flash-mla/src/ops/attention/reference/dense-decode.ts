import { decodeAll, decodeInto, extents, type HostTensor } from '@flash-mla/core';
import { attend } from './attend.ts';

/** Arguments of {@link denseDecode}; names and shapes as in `flashMlaWithKvCache`. */
export interface DenseDecodeProblem {
  /** (b, sQ, hQ, dQk). */
  readonly q: HostTensor;
  /** (blocks, page, hKv, dQk), of any number of blocks, none included; V is the first `headDimV` columns. */
  readonly kCache: HostTensor;
  /** i32 (b, maxBlocks); tokens of an entry outside 0…blocks − 1 are skipped. */
  readonly blockTable: HostTensor<'i32'>;
  /** i32 (b): clamped to 0…maxBlocks·page. */
  readonly cacheSeqlens: HostTensor<'i32'>;
  readonly headDimV: number;
  /** Default 1/√dQk. */
  readonly softmaxScale?: number | undefined;
  /** Query i sees keys 0 to seqlen − sQ + i. */
  readonly causal?: boolean | undefined;
  /** Real q = stored q · descaleQ, real cache = stored cache · descaleK. */
  readonly descaleQ?: number | undefined;
  readonly descaleK?: number | undefined;
}

/** float64 results in row-major order. */
export interface DecodeAnswer {
  /** (b, sQ, hQ, headDimV). */
  readonly out: Float64Array;
  /** (b, hQ, sQ), natural log; +inf for rows that attend to nothing. */
  readonly lse: Float64Array;
}

/** Dense decoding over a paged cache in float64. */
export function denseDecode(problem: DenseDecodeProblem): DecodeAnswer {
  const { q, kCache, blockTable, cacheSeqlens, headDimV, causal = false } = problem;
  const { descaleQ = 1, descaleK = 1 } = problem;
  const [b, sQ, hQ, d] = extents('q', q, 4) as [number, number, number, number];
  const [, , hKv] = extents('kCache', kCache, 4) as [number, number, number, number];
  const scale = (problem.softmaxScale ?? 1 / Math.sqrt(d)) * descaleQ * descaleK;
  const group = hQ / hKv;
  const queries = decodeAll(q);
  const out = new Float64Array(b * sQ * hQ * headDimV);
  const lse = new Float64Array(b * hQ * sQ);

  for (let i = 0; i < b; i++) {
    const seqlen = cachedTokens(cacheSeqlens, i, kCache, blockTable);
    for (let headKv = 0; headKv < hKv; headKv++) {
      const tokens = presentTokens(kCache, blockTable, i, seqlen);
      const keys = gatherTokens(kCache, blockTable, i, tokens, headKv);
      for (let s = 0; s < sQ; s++) {
        const count = countBelow(tokens, causal ? seqlen - sQ + s + 1 : seqlen);
        const first = (i * sQ + s) * hQ + headKv * group;
        const answer = attend(
          queries.subarray(first * d, (first + group) * d),
          group,
          { keys, count, headDimQk: d, values: keys, valueStride: d, headDimV },
          scale,
        );
        for (let c = 0; c < answer.out.length; c++) {
          out[first * headDimV + c] = (answer.out[c] as number) * descaleK;
        }
        for (let h = 0; h < group; h++) {
          lse[(i * hQ + headKv * group + h) * sQ + s] = answer.lse[h] as number;
        }
      }
    }
  }
  return { out, lse };
}

/** The length of a request as it counts: at least 0, at most what its row of the table can hold. */
export function cachedTokens(
  seqlens: HostTensor<'i32'>,
  request: number,
  cache: HostTensor,
  blockTable: HostTensor<'i32'>,
): number {
  const capacity = (blockTable.shape[1] as number) * (cache.shape[1] as number);
  return Math.min(capacity, Math.max(0, seqlens.data[request] as number));
}

/**
 * The tokens of a request that lie in blocks of the cache, in order. An entry of the table that is no
 * block names nothing: its tokens are skipped, and the others keep their positions.
 */
export function presentTokens(
  cache: HostTensor,
  blockTable: HostTensor<'i32'>,
  request: number,
  seqlen: number,
): number[] {
  const [blocks, page] = cache.shape as [number, number];
  const tokens: number[] = [];
  for (let token = 0; token < seqlen; token++) {
    const block = blockOf(blockTable, request, token, page);
    if (block >= 0 && block < blocks) tokens.push(token);
  }
  return tokens;
}

/** How many of some ascending tokens come before `limit`. */
export function countBelow(tokens: readonly number[], limit: number): number {
  const end = tokens.findIndex((token) => token >= limit);
  return end < 0 ? tokens.length : end;
}

/** The rows of one request and one KV head: (tokens, d). */
export function gatherTokens(
  cache: HostTensor,
  blockTable: HostTensor<'i32'>,
  request: number,
  tokens: readonly number[],
  head: number,
): Float64Array {
  const [, page, heads, d] = cache.shape as [number, number, number, number];
  const rows = new Float64Array(tokens.length * d);
  tokens.forEach((token, i) => {
    const block = blockOf(blockTable, request, token, page);
    decodeInto(cache, ((block * page + (token % page)) * heads + head) * d, d, rows, i * d);
  });
  return rows;
}

function blockOf(
  blockTable: HostTensor<'i32'>,
  request: number,
  token: number,
  page: number,
): number {
  const maxBlocks = blockTable.shape[1] as number;
  return blockTable.data[request * maxBlocks + Math.floor(token / page)] as number;
}
