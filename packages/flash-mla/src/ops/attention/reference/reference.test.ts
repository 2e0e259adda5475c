import { decodeAll, encodeBf16, type HostTensor, hostTensor } from '@flash-mla/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attend, sinkFactor } from './attend.ts';
import { combineSplits } from './combine.ts';
import { cacheAttention, varlenAttention } from './dense-attention.ts';
import { denseDecode } from './dense-decode.ts';
import { sparseDecode } from './sparse-decode.ts';
import { sparsePrefill } from './sparse-prefill.ts';

/** Repeatable values in (−1, 1). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

function floats(shape: number[], seed: number): HostTensor<'bf16'> {
  const next = random(seed);
  const size = shape.reduce((a, b) => a * b, 1);
  return hostTensor(
    'bf16',
    shape,
    Uint16Array.from({ length: size }, () => encodeBf16(next())),
  );
}

const ints = (shape: number[], data: number[]) => hostTensor('i32', shape, Int32Array.from(data));

function expectAll(actual: Float64Array, expected: ArrayLike<number>, tolerance = 1e-12): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++) {
    const a = actual[i] as number;
    const e = expected[i] as number;
    if (!Object.is(a, e) && !(Math.abs(a - e) <= tolerance)) throw new Error(`[${i}]: ${a}, ${e}`);
  }
}

/** The textbook formula for one query, term by term, without tiles or a running maximum. */
function textbook(q: number[], keys: number[][], values: number[][], scale: number) {
  const weights = keys.map((key) =>
    Math.exp(scale * key.reduce((s, k, c) => s + k * (q[c] ?? 0), 0)),
  );
  const sum = weights.reduce((s, w) => s + w, 0);
  const out = (values[0] ?? []).map(
    (_, c) => weights.reduce((s, w, j) => s + w * (values[j]?.[c] ?? 0), 0) / sum,
  );
  return { out, lse: Math.log(sum) };
}

const rowsOf = (tensor: HostTensor) => {
  const data = decodeAll(tensor);
  const d = tensor.shape.at(-1) ?? 1;
  return Array.from({ length: data.length / d }, (_, i) => [...data.subarray(i * d, (i + 1) * d)]);
};

describe('attend', () => {
  it('is softmax(scale · Q Kᵀ) V for any number of queries, keys and columns', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer(),
        (m, n, d, dv, seed) => {
          const [q, k, v] = [
            floats([m, d], seed),
            floats([n, d], seed + 1),
            floats([n, dv], seed + 2),
          ];
          const { out, lse, maxLogits } = attend(
            decodeAll(q),
            m,
            {
              keys: decodeAll(k),
              count: n,
              headDimQk: d,
              values: decodeAll(v),
              valueStride: dv,
              headDimV: dv,
            },
            0.7,
          );
          const expected = rowsOf(q).map((row) => textbook(row, rowsOf(k), rowsOf(v), 0.7));
          expectAll(
            out,
            expected.flatMap((row) => row.out),
          );
          expectAll(
            lse,
            expected.map((row) => row.lse),
          );
          const logits = rowsOf(q).map((row) =>
            Math.max(
              ...rowsOf(k).map((key) => 0.7 * key.reduce((s, x, c) => s + x * (row[c] ?? 0), 0)),
            ),
          );
          expectAll(maxLogits, logits);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('does not overflow for large logits', () => {
    const keys = Float64Array.of(1000, 999);
    const rows = { keys, count: 2, headDimQk: 1, values: keys, valueStride: 1, headDimV: 1 };
    const { out, lse } = attend(Float64Array.of(1), 1, rows, 1);
    expect(lse[0]).toBeCloseTo(1000 + Math.log(1 + Math.exp(-1)), 10);
    expect(out[0]).toBeCloseTo(1000 - 1 / (1 + Math.E), 10);
  });

  it('shows a NaN that is attended to', () => {
    const keys = Float64Array.of(1, Number.NaN);
    const rows = { keys, count: 2, headDimQk: 1, values: keys, valueStride: 1, headDimV: 1 };
    const { out, lse, maxLogits } = attend(Float64Array.of(1), 1, rows, 1);
    expect([out[0], lse[0], maxLogits[0]]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });
});

describe('denseDecode', () => {
  const [b, sQ, hQ, hK, d, dV, page] = [2, 2, 4, 2, 6, 4, 3];
  const q = floats([b, sQ, hQ, d], 1);
  const kCache = floats([5, page, hK, d], 2);
  const blockTable = ints([b, 3], [4, 0, 2, 1, 3, 0]);
  const seqlens = [7, 4];
  const problem = { q, kCache, blockTable, cacheSeqlens: ints([b], seqlens), headDimV: dV };

  /** Row of the cache that holds token `token` of request `i`. */
  const cacheRow = (i: number, token: number, headK: number) => {
    const block = blockTable.data[i * 3 + Math.floor(token / page)] as number;
    return rowsOf(kCache)[(block * page + (token % page)) * hK + headK] as number[];
  };

  it.each([false, true])('follows the block table, heads in groups, causal %s', (causal) => {
    const answer = denseDecode({ ...problem, causal, softmaxScale: 0.9 });
    for (let i = 0; i < b; i++) {
      for (let s = 0; s < sQ; s++) {
        for (let h = 0; h < hQ; h++) {
          const seqlen = seqlens[i] as number;
          const count = causal ? seqlen - sQ + s + 1 : seqlen;
          const keys = Array.from({ length: count }, (_, t) => cacheRow(i, t, Math.floor(h / 2)));
          const values = keys.map((key) => key.slice(0, dV));
          const row = (i * sQ + s) * hQ + h;
          const expected = textbook(rowsOf(q)[row] as number[], keys, values, 0.9);
          expectAll(answer.out.subarray(row * dV, (row + 1) * dV), expected.out);
          expect(answer.lse[(i * hQ + h) * sQ + s]).toBeCloseTo(expected.lse, 12);
        }
      }
    }
  });

  it('gives 0 and +inf for a length of 0 or less and for queries before the first key', () => {
    const empty = denseDecode({ ...problem, cacheSeqlens: ints([b], [0, -3]) });
    expect(empty.out.every((x) => x === 0)).toBe(true);
    expect(empty.lse.every((x) => x === Number.POSITIVE_INFINITY)).toBe(true);
    const short = denseDecode({ ...problem, cacheSeqlens: ints([b], [1, 1]), causal: true });
    expect([...short.lse].filter((x) => x === Number.POSITIVE_INFINITY)).toHaveLength(b * hQ);
  });

  it('counts a length beyond the block table as all the table holds', () => {
    const full = denseDecode({ ...problem, cacheSeqlens: ints([b], [9, 9]) });
    const beyond = denseDecode({ ...problem, cacheSeqlens: ints([b], [10, 2 ** 31 - 1]) });
    expect(beyond).toEqual(full);
  });

  it('does not look at rows beyond a length', () => {
    const poisoned = { ...kCache, data: kCache.data.slice() };
    const used = new Set<number>();
    seqlens.forEach((seqlen, i) => {
      for (let t = 0; t < seqlen; t++) {
        used.add((blockTable.data[i * 3 + Math.floor(t / page)] as number) * page + (t % page));
      }
    });
    for (let row = 0; row < 5 * page; row++) {
      if (!used.has(row)) poisoned.data.fill(0x7fc0, row * hK * d, (row + 1) * hK * d);
    }
    expect(denseDecode({ ...problem, kCache: poisoned })).toEqual(denseDecode(problem));
  });

  it('scales logits by both descales and the output by that of the cache', () => {
    const plain = denseDecode({ ...problem, softmaxScale: 0.5 * 2 * 0.25 });
    const scaled = denseDecode({ ...problem, softmaxScale: 0.5, descaleQ: 2, descaleK: 0.25 });
    expectAll(
      scaled.out,
      plain.out.map((x) => x * 0.25),
    );
    expectAll(scaled.lse, plain.lse);
  });

  it('skips the tokens of entries that are no block of the cache', () => {
    const table = (data: number[]) => ({ ...problem, blockTable: ints([b, 3], data) });
    const whole = denseDecode(table([4, 0, 2, 1, 3, 0]));
    for (const missing of [5, -1, 2 ** 31 - 1]) {
      // Of request 0 the tokens in the middle are missing, of request 1 all that count.
      const partly = denseDecode(table([4, missing, 2, missing, missing, missing]));
      expect(partly.lse.subarray(partly.lse.length / 2)).toEqual(
        new Float64Array(partly.lse.length / 2).fill(Number.POSITIVE_INFINITY),
      );
      expect(partly.out.subarray(partly.out.length / 2)).toEqual(
        new Float64Array(partly.out.length / 2),
      );
      partly.lse.subarray(0, partly.lse.length / 2).forEach((lse, i) => {
        expect(lse).toBeLessThan(whole.lse[i] as number);
      });
    }
  });

  it('gives out 0 and lse +inf where the cache has no blocks, or the table no columns', () => {
    const shape = problem.kCache.shape.with(0, 0);
    const noBlocks = { ...problem, kCache: floats(shape, 1), cacheSeqlens: ints([b], [0, 0]) };
    for (const empty of [noBlocks, { ...problem, blockTable: ints([b, 0], []) }]) {
      const { out, lse } = denseDecode(empty);
      expect([...new Set(out)]).toEqual([0]);
      expect([...new Set(lse)]).toEqual([Number.POSITIVE_INFINITY]);
    }
  });
});

describe('sparse attention', () => {
  const [b, sQ, hQ, d, dV] = [2, 2, 3, 6, 4];
  const q = floats([b, sQ, hQ, d], 3);
  const kCache = floats([4, 5, 1, d], 4);
  const indices = ints(
    [b, sQ, 4],
    [3, -1, 19, 3, 20, 0, 1, 2, -(2 ** 31), 7, 7, 8, 2 ** 31 - 1, 9, 9, 9],
  );
  const problem = { q, layout: 'bf16', kCache, indices, headDimV: dV } as const;

  /** Dense attention over the listed rows, as the same problem without sparsity. */
  const over = (row: number, slots: number[]) => {
    const keys = slots.map((slot) => rowsOf(kCache)[slot] as number[]);
    const values = keys.map((key) => key.slice(0, dV));
    return textbook(rowsOf(q)[row] as number[], keys, values, 1 / Math.sqrt(d));
  };

  it('attends to the slots inside the cache, repetitions counted', () => {
    const { out, lse } = sparseDecode(problem);
    const slots = [
      [3, 19, 3],
      [0, 1, 2],
      [7, 7, 8],
      [9, 9, 9],
    ];
    slots.forEach((list, query) => {
      for (let h = 0; h < hQ; h++) {
        const row = query * hQ + h;
        const expected = over(row, list);
        expectAll(out.subarray(row * dV, (row + 1) * dV), expected.out);
        const at = (Math.floor(query / sQ) * hQ + h) * sQ + (query % sQ);
        expect(lse[at]).toBeCloseTo(expected.lse, 12);
      }
    });
  });

  it('takes the entries left of topkLength, clamped', () => {
    const { lse } = sparseDecode({ ...problem, topkLength: ints([b], [1, 99]) });
    expect(lse[0]).toBeCloseTo(over(0, [3]).lse, 12);
    expect(lse[hQ * sQ]).toBeCloseTo(over(sQ * hQ, [7, 7, 8]).lse, 12);
    const none = sparseDecode({ ...problem, topkLength: ints([b], [0, -5]) });
    expect(none.lse.every((x) => x === Number.POSITIVE_INFINITY)).toBe(true);
    expect(none.out.every((x) => x === 0)).toBe(true);
  });

  it('attends to an extra cache as if its rows followed', () => {
    const split = sparseDecode({
      ...problem,
      indices: ints([b, sQ, 2], [3, -1, 20, 0, -1, 7, -1, 9]),
      extra: { kCache, indices: ints([b, sQ, 2], [19, 3, 1, 2, 7, 8, 9, 9]) },
    });
    const whole = sparseDecode(problem);
    expectAll(split.out, whole.out);
    expectAll(split.lse, whole.lse);
  });

  it('lets a sink take its share of the output and nothing of lse', () => {
    const sinks = [0.3, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    const attnSink = hostTensor('f32', [hQ], Float32Array.from(sinks));
    const plain = sparseDecode(problem);
    const sunk = sparseDecode({ ...problem, attnSink });
    expect(sunk.lse).toEqual(plain.lse);
    const lse = plain.lse[0] as number;
    const share = Math.exp(lse) / (Math.exp(lse) + Math.exp(attnSink.data[0] as number));
    expectAll(
      sunk.out.subarray(0, dV),
      plain.out.subarray(0, dV).map((x) => x * share),
    );
    expectAll(sunk.out.subarray(dV, 2 * dV), plain.out.subarray(dV, 2 * dV));
    expectAll(sunk.out.subarray(2 * dV, 3 * dV), [0, 0, 0, 0]);
  });

  it('agrees with prefill over the same rows', () => {
    const kv = hostTensor('bf16', [20, 1, d], kCache.data);
    const attnSink = hostTensor('f32', [hQ], Float32Array.of(0.3, -0.2, 1));
    const prefill = sparsePrefill({
      q: hostTensor('bf16', [b * sQ, hQ, d], q.data),
      kv,
      indices: ints([b * sQ, 1, 4], [...indices.data]),
      smScale: 1 / Math.sqrt(d),
      dV,
      attnSink,
      topkLength: ints([b * sQ], [4, 4, 4, 4]),
    });
    expectAll(prefill.out, sparseDecode({ ...problem, attnSink }).out);
    expect(prefill.maxLogits.every((max, i) => max <= (prefill.lse[i] as number))).toBe(true);
  });

  it('gives each KV head of a prefill its own indices', () => {
    const kv = floats([6, 2, d], 8);
    const answer = sparsePrefill({
      q: floats([1, 4, d], 9),
      kv,
      indices: ints([1, 2, 2], [0, 1, 4, 9]),
      smScale: 1,
      dV,
    });
    const keys = [8].map((row) => rowsOf(kv)[row + 1] as number[]);
    expectAll(answer.out.subarray(2 * dV, 3 * dV), (keys[0] as number[]).slice(0, dV));
  });
});

describe('dense attention', () => {
  const [hQ, hK, dQk, dV] = [4, 2, 6, 3];
  const q = floats([5, hQ, dQk], 11);
  const k = floats([9, hK, dQk], 12);
  const v = floats([9, hK, dV], 13);

  it.each([false, true])('keeps packed sequences apart, causal %s', (causal) => {
    const { out, lse } = varlenAttention({
      q,
      k,
      v,
      cuSeqlensQo: ints([4], [0, 2, 2, 5]),
      cuSeqlensKv: ints([4], [0, 4, 7, 9]),
      causal,
    });
    const sequences = [
      { queries: [0, 1], keys: [0, 1, 2, 3] },
      { queries: [2, 3, 4], keys: [7, 8] },
    ];
    for (const { queries, keys } of sequences) {
      queries.forEach((row, s) => {
        const count = causal ? Math.max(0, keys.length - queries.length + s + 1) : keys.length;
        for (let h = 0; h < hQ; h++) {
          const headK = Math.floor(h / 2);
          const pick = (from: HostTensor) =>
            keys.slice(0, count).map((key) => rowsOf(from)[key * hK + headK] as number[]);
          const expected = textbook(
            rowsOf(q)[row * hQ + h] as number[],
            pick(k),
            pick(v),
            1 / Math.sqrt(dQk),
          );
          const actual = out.subarray((row * hQ + h) * dV, (row * hQ + h + 1) * dV);
          if (count === 0) {
            expectAll(actual, [0, 0, 0]);
            expect(lse[h * 5 + row]).toBe(Number.POSITIVE_INFINITY);
          } else {
            expectAll(actual, expected.out);
            expect(lse[h * 5 + row]).toBeCloseTo(expected.lse, 12);
          }
        }
      });
    }
  });

  it('reads a cache in pages as it reads one block per request', () => {
    const queries = floats([2, 2, hQ, dQk], 14);
    const kCache = floats([2, 6, hK, dQk], 15);
    const vCache = floats([2, 6, hK, dV], 16);
    const cacheSeqlens = ints([2], [5, 3]);
    const whole = cacheAttention({ q: queries, kCache, vCache, cacheSeqlens, causal: true });
    const paged = cacheAttention({
      q: queries,
      kCache: { ...kCache, shape: [6, 2, hK, dQk] },
      vCache: { ...vCache, shape: [6, 2, hK, dV] },
      cacheSeqlens,
      blockTable: ints([2, 3], [0, 1, 2, 3, 4, 5]),
      causal: true,
    });
    expect(paged).toEqual(whole);
  });

  it('counts offsets out of range as the nearest, and nothing of a request that ends too early', () => {
    const [totalQ, totalK] = [q.shape[0] as number, k.shape[0] as number];
    const at = (queries: number[], keys: number[]) =>
      varlenAttention({
        ...{ q, k, v },
        cuSeqlensQo: ints([queries.length], queries),
        cuSeqlensKv: ints([keys.length], keys),
      });
    const whole = at([0, 2, totalQ], [0, 4, totalK]);
    expect(at([-9, 2, 2 ** 31 - 1], [-1, 4, totalK + 1])).toEqual(whole);
    const early = at([0, 2, 1], [0, 4, totalK]);
    expect(early.lse.slice(0, 2)).toEqual(whole.lse.slice(0, 2));
    expect(early.lse.slice(2, totalQ)).toEqual(new Float64Array(totalQ - 2).fill(Infinity));
  });
});

describe('combineSplits', () => {
  it('makes cutting a row anywhere harmless', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 5 }),
        fc.option(fc.double({ min: -3, max: 3, noNaN: true }), { nil: undefined }),
        fc.integer(),
        (n, cuts, sink, seed) => {
          const [d, q] = [5, decodeAll(floats([1, 5], seed))];
          const keys = decodeAll(floats([n, d], seed + 1));
          const part = (begin: number, end: number) => {
            const rows = keys.subarray(begin * d, end * d);
            return attend(
              q,
              1,
              {
                keys: rows,
                count: end - begin,
                headDimQk: d,
                values: rows,
                valueStride: d,
                headDimV: d,
              },
              1,
            );
          };
          const whole = part(0, n);
          const bounds = [0, ...cuts.map((c) => Math.min(c, n)).sort((a, b) => a - b), n];
          const parts = bounds.slice(1).map((end, i) => part(bounds[i] as number, end));
          const merged = combineSplits(
            {
              out: Float64Array.from(parts.flatMap((p) => [...p.out])),
              lse: Float64Array.from(parts.map((p) => p.lse[0] as number)),
              headDimV: d,
            },
            sink,
          );
          const share = sink === undefined ? 1 : sinkFactor(whole.lse[0] as number, sink);
          expectAll(
            merged.out,
            whole.out.map((x) => x * share),
          );
          expect(merged.lse).toBeCloseTo(whole.lse[0] as number, 12);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('ignores what an empty split left in its output', () => {
    const out = Float64Array.of(1, Number.NaN);
    const lse = Float64Array.of(2, Number.NEGATIVE_INFINITY);
    expect(combineSplits({ out, lse, headDimV: 1 })).toEqual({ out: Float64Array.of(1), lse: 2 });
    const nothing = Float64Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    expect(combineSplits({ out, lse: nothing, headDimV: 1 })).toEqual({
      out: Float64Array.of(0),
      lse: Number.POSITIVE_INFINITY,
    });
  });
});
