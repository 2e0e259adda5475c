import { decodeAll, decodeInto, extents, type HostTensor } from '@flash-mla/core';
import { attend } from './attend.ts';
import { cachedTokens, countBelow, gatherTokens, presentTokens } from './dense-decode.ts';

/** Arguments of {@link varlenAttention}; names and shapes as in `flashAttnVarlenFunc`. */
export interface VarlenAttentionProblem {
  /** (totalQ, hQ, dQk). */
  readonly q: HostTensor;
  /** (totalK, hKv, dQk). */
  readonly k: HostTensor;
  /** (totalK, hKv, dV). */
  readonly v: HostTensor;
  /**
   * i32 (b + 1) each: where the queries and keys of a request begin and end. An offset outside
   * 0…total counts as the nearest, a request that ends before it begins has none.
   */
  readonly cuSeqlensQo: HostTensor<'i32'>;
  readonly cuSeqlensKv: HostTensor<'i32'>;
  /** The most queries of a request: later ones do not count. Default: all. */
  readonly maxSeqlenQo?: number | undefined;
  /** Default 1/√dQk. */
  readonly softmaxScale?: number | undefined;
  /** Aligned to the end: the last query sees all keys. */
  readonly causal?: boolean | undefined;
}

/** Arguments of {@link cacheAttention}; names and shapes as in `flashAttnWithKvCache`. */
export interface CacheAttentionProblem {
  /** (b, sQ, hQ, dQk). */
  readonly q: HostTensor;
  /** (blocks, page, hKv, dQk); without a block table request i owns block i. */
  readonly kCache: HostTensor;
  /** (blocks, page, hKv, dV). */
  readonly vCache: HostTensor;
  /** i32 (b): clamped to 0…maxBlocks·page. */
  readonly cacheSeqlens: HostTensor<'i32'>;
  /** i32 (b, maxBlocks); tokens of an entry outside 0…blocks − 1 are skipped. */
  readonly blockTable?: HostTensor<'i32'> | undefined;
  readonly softmaxScale?: number | undefined;
  readonly causal?: boolean | undefined;
}

/** float64 results in row-major order. */
export interface AttentionAnswer {
  /** The shape of q with dV columns. */
  readonly out: Float64Array;
  /** (hQ, totalQ) of packed sequences, (b, hQ, sQ) with a cache; +inf for rows without keys. */
  readonly lse: Float64Array;
}

/** Dense attention over packed sequences of different lengths, in float64. */
export function varlenAttention(problem: VarlenAttentionProblem): AttentionAnswer {
  const { q, k, v, cuSeqlensQo, cuSeqlensKv, causal = false } = problem;
  const { maxSeqlenQo = Number.POSITIVE_INFINITY } = problem;
  const [totalQ, hQ, dQk] = extents('q', q, 3) as [number, number, number];
  const [totalK, hKv] = extents('k', k, 3) as [number, number, number];
  const dV = extents('v', v, 3)[2] as number;
  const scale = problem.softmaxScale ?? 1 / Math.sqrt(dQk);
  const out = new Float64Array(totalQ * hQ * dV);
  const lse = new Float64Array(hQ * totalQ).fill(Number.POSITIVE_INFINITY);
  const queries = decodeAll(q);

  for (let i = 0; i + 1 < cuSeqlensQo.data.length; i++) {
    const [beginQ, endQ] = packedSpan(cuSeqlensQo, i, totalQ);
    const [beginK, endK] = packedSpan(cuSeqlensKv, i, totalK);
    for (let headKv = 0; headKv < hKv; headKv++) {
      attendSequence({
        queries,
        beginQ,
        lengthQ: Math.min(endQ - beginQ, maxSeqlenQo),
        hQ,
        dQk,
        keys: gatherPacked(k, beginK, endK, headKv),
        values: gatherPacked(v, beginK, endK, headKv),
        lengthK: endK - beginK,
        firstHead: (headKv * hQ) / hKv,
        group: hQ / hKv,
        dV,
        scale,
        causal,
        out,
        writeLse: (row, head, value) => {
          lse[head * totalQ + row] = value;
        },
      });
    }
  }
  return { out, lse };
}

/** Dense attention of a few new queries per request over a cache, in float64. */
export function cacheAttention(problem: CacheAttentionProblem): AttentionAnswer {
  const { q, kCache, vCache, cacheSeqlens, causal = false } = problem;
  const [b, sQ, hQ, dQk] = extents('q', q, 4) as [number, number, number, number];
  const [, , hKv] = extents('kCache', kCache, 4) as [number, number, number, number];
  const dV = extents('vCache', vCache, 4)[3] as number;
  const blockTable = problem.blockTable ?? ownBlocks(b);
  const scale = problem.softmaxScale ?? 1 / Math.sqrt(dQk);
  const out = new Float64Array(b * sQ * hQ * dV);
  const lse = new Float64Array(b * hQ * sQ);
  const queries = decodeAll(q);

  for (let i = 0; i < b; i++) {
    const lengthK = cachedTokens(cacheSeqlens, i, kCache, blockTable);
    const tokens = presentTokens(kCache, blockTable, i, lengthK);
    for (let headKv = 0; headKv < hKv; headKv++) {
      attendSequence({
        queries,
        beginQ: i * sQ,
        lengthQ: sQ,
        hQ,
        dQk,
        keys: gatherTokens(kCache, blockTable, i, tokens, headKv),
        values: gatherTokens(vCache, blockTable, i, tokens, headKv),
        tokens,
        lengthK,
        firstHead: (headKv * hQ) / hKv,
        group: hQ / hKv,
        dV,
        scale,
        causal,
        out,
        writeLse: (row, head, value) => {
          lse[(i * hQ + head) * sQ + (row - i * sQ)] = value;
        },
      });
    }
  }
  return { out, lse };
}

interface Sequence {
  readonly queries: Float64Array;
  readonly beginQ: number;
  readonly lengthQ: number;
  readonly hQ: number;
  readonly dQk: number;
  readonly keys: Float64Array;
  readonly values: Float64Array;
  /** Positions of the keys among `lengthK`; absent: all of them. */
  readonly tokens?: readonly number[];
  readonly lengthK: number;
  readonly firstHead: number;
  readonly group: number;
  readonly dV: number;
  readonly scale: number;
  readonly causal: boolean;
  readonly out: Float64Array;
  readonly writeLse: (row: number, head: number, value: number) => void;
}

/** One request, one KV head: each query position sees a prefix of the keys. */
function attendSequence(sequence: Sequence): void {
  const { queries, beginQ, lengthQ, hQ, dQk, keys, values, lengthK } = sequence;
  const { firstHead, group, dV, scale, causal, out, writeLse, tokens } = sequence;
  for (let s = 0; s < lengthQ; s++) {
    const seen = causal ? Math.max(0, lengthK - lengthQ + s + 1) : lengthK;
    const count = tokens ? countBelow(tokens, seen) : seen;
    const first = (beginQ + s) * hQ + firstHead;
    const answer = attend(
      queries.subarray(first * dQk, (first + group) * dQk),
      group,
      { keys, count, headDimQk: dQk, values, valueStride: dV, headDimV: dV },
      scale,
    );
    out.set(answer.out, first * dV);
    answer.lse.forEach((value, h) => {
      writeLse(beginQ + s, firstHead + h, value);
    });
  }
}

/** Rows `begin` to `end` of one head of a (total, heads, d) array. */
function gatherPacked(source: HostTensor, begin: number, end: number, head: number): Float64Array {
  const [, heads, d] = source.shape as [number, number, number];
  const rows = new Float64Array((end - begin) * d);
  for (let row = begin; row < end; row++) {
    decodeInto(source, (row * heads + head) * d, d, rows, (row - begin) * d);
  }
  return rows;
}

/** Where a request begins and ends in a packed array of `total` rows. */
export function packedSpan(
  offsets: HostTensor<'i32'>,
  request: number,
  total: number,
): [begin: number, end: number] {
  const begin = Math.min(total, Math.max(0, offsets.data[request] as number));
  const end = Math.min(total, offsets.data[request + 1] as number);
  return [begin, Math.max(begin, end)];
}

function ownBlocks(b: number): HostTensor<'i32'> {
  return { dtype: 'i32', shape: [b, 1], data: Int32Array.from({ length: b }, (_, i) => i) };
}
