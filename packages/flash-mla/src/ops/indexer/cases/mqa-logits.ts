import { decodeE4m3, hostTensor } from '@flash-mla/core';
import { defineCases } from '../../conformance/suite/define-cases.ts';
import { fp8MqaLogits } from '../api/fp8-mqa-logits.ts';
import { fp8PagedMqaLogits } from '../api/fp8-paged-mqa-logits.ts';
import { indexDim, indexTokenBytes } from '../limits.ts';
import { type MqaLogitsProblem, mqaLogits } from '../reference/mqa-logits.ts';
import { drawCodes, drawScales } from './draw.ts';

interface MqaLogitsParams {
  readonly op: 'mqa-logits' | 'paged-mqa-logits';
  readonly requests: number;
  /** Queries of a request. */
  readonly queries: number;
  readonly heads: number;
  /** Columns; of ragged keys all there are. */
  readonly columns: number;
  readonly page?: number;
  readonly graph?: boolean;
}

interface Drawn {
  readonly problem: MqaLogitsProblem;
  /** (pages · P) keys, or the ragged ones, with their scales. */
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly table: Int32Array;
}

const [ragged, paged] = [{ op: 'mqa-logits' }, { op: 'paged-mqa-logits' }] as const;

const quick: readonly MqaLogitsParams[] = [
  { ...paged, requests: 2, queries: 1, heads: 64, columns: 200, page: 64 },
  { ...paged, requests: 3, queries: 1, heads: 32, columns: 70, page: 16 },
  { ...paged, requests: 1, queries: 9, heads: 8, columns: 100, page: 16 },
  { ...paged, requests: 2, queries: 2, heads: 5, columns: 300, page: 48, graph: true },
  { ...paged, requests: 2, queries: 6, heads: 16, columns: 700, page: 64 },
  { ...paged, requests: 2, queries: 1, heads: 12, columns: 900, page: 128 },
  { ...ragged, requests: 1, queries: 6, heads: 64, columns: 130 },
  { ...ragged, requests: 1, queries: 3, heads: 12, columns: 77 },
];

const full: readonly MqaLogitsParams[] = [
  { ...paged, requests: 4, queries: 1, heads: 64, columns: 4096, page: 64 },
  { ...paged, requests: 1, queries: 64, heads: 64, columns: 1024, page: 64 },
  { ...ragged, requests: 1, queries: 70, heads: 32, columns: 1000 },
];

export const mqaLogitsCases = defineCases<MqaLogitsParams, Drawn>({
  quick,
  full,
  cost: ({ requests, queries, heads, columns }) => requests * queries * heads * columns * 256,

  problem({ op, requests, queries, heads, columns, page = 16 }, random) {
    const rows = requests * queries;
    const isPaged = op === 'paged-mqa-logits';
    const width = Math.ceil(columns / page);
    const tokens = isPaged ? (requests * width + 1) * page : columns;
    const order = random.shuffle(Array.from({ length: requests * width + 1 }, (_, i) => i));
    const table = Int32Array.from(order.slice(0, requests * width));
    // A page that is none.
    if (requests > 1) table[1] = -1;
    const [codes, scales] = [drawCodes(random, tokens * indexDim), drawScales(random, tokens)];
    const ends = Int32Array.from({ length: rows }, (_, row) =>
      row % 3 === 1 ? random.integer(0, columns) : columns - (row % queries),
    );
    const starts = Int32Array.from({ length: rows }, () =>
      isPaged ? 0 : random.integer(0, Math.floor(columns / 2)),
    );
    const placeOf = (row: number, column: number) => {
      if (!isPaged) return column;
      const number = table[Math.floor(row / queries) * width + Math.floor(column / page)] as number;
      return number < 0 ? -1 : number * page + (column % page);
    };
    const keyOf = (row: number, column: number) => {
      const place = placeOf(row, column);
      // The reference has no such keys: a scale of −∞ takes their place.
      if (place < 0) return { key: new Float64Array(indexDim), scale: Number.NaN };
      const from = codes.subarray(place * indexDim, (place + 1) * indexDim);
      return { key: Float64Array.from(from, decodeE4m3), scale: scales[place] as number };
    };
    const weights = Float32Array.from(
      { length: rows * heads },
      () => random.normal() * 2 ** -8 * heads ** -0.5,
    );
    const problem = {
      q: hostTensor('e4m3', [rows, heads, indexDim], drawCodes(random, rows * heads * indexDim)),
      weights: hostTensor('f32', [rows, heads], weights),
      ...{ keyOf, starts, ends, columns },
    };
    return { problem, codes, scales, table };
  },

  expected: ({ problem }, { columns }) => {
    const values = mqaLogits(problem).map((v) => (Number.isNaN(v) ? Number.NEGATIVE_INFINITY : v));
    // Tensor cores of Hopper add e4m3 products with 14 bits.
    return {
      logits: { values, rowLength: columns, tolerance: { absolute: 4e-3, relative: 2e-3 } },
    };
  },

  upload(
    uploads,
    { problem, codes, scales, table },
    { op, requests, queries, heads, columns, page = 16 },
  ) {
    const { q, weights, starts, ends } = problem;
    const out = uploads.poisoned([requests * queries, columns], 'f32');
    const ints = (data: Int32Array, ...shape: number[]) =>
      uploads.put(hostTensor('i32', shape, data));
    if (op === 'mqa-logits') {
      const options = {
        ...{ q: uploads.put(q), weights: uploads.put(weights), out },
        k: uploads.put(hostTensor('e4m3', [columns, indexDim], codes)),
        kScales: uploads.put(hostTensor('f32', [columns], scales)),
        ...{ cuSeqlenKs: ints(starts, queries), cuSeqlenKe: ints(ends, queries) },
      };
      return () => ({ logits: fp8MqaLogits(options) });
    }
    const pages = scales.length / page;
    const cache = new Uint8Array(pages * page * indexTokenBytes);
    for (let i = 0; i < pages; i++) {
      const at = i * page * indexTokenBytes;
      cache.set(codes.subarray(i * page * indexDim, (i + 1) * page * indexDim), at);
      const some = new Uint8Array(scales.slice(i * page, (i + 1) * page).buffer);
      cache.set(some, at + page * indexDim);
    }
    const options = {
      q: uploads.put({ ...q, shape: [requests, queries, heads, indexDim] }),
      weights: uploads.put({ ...weights, shape: [requests, queries, heads] }),
      kvCache: uploads.put(hostTensor('u8', [pages, page, 1, indexTokenBytes], cache)),
      blockTable: ints(table, requests, Math.ceil(columns / page)),
      ...{ contextLens: ints(ends, requests, queries), maxContextLen: columns, out },
    };
    return () => ({ logits: fp8PagedMqaLogits(options) });
  },
});
