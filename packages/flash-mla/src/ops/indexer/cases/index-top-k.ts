import { hostTensor } from '@flash-mla/core';
import { defineCases } from '../../conformance/suite/define-cases.ts';
import { exact } from '../../conformance/tolerance.ts';
import { indexTopK } from '../api/index-top-k.ts';
import { type IndexTopKProblem, indexTopK as topKReference } from '../reference/index-top-k.ts';

interface IndexTopKParams {
  readonly op: 'index-top-k';
  readonly rows: number;
  readonly columns: number;
  readonly k: number;
  /**
   * `normal`; `ties`: a few values only; `equal`: one; `odd`: with infinities, NaN and zeros of both signs;
   * `near`: values that differ in their last bits.
   */
  readonly values: 'normal' | 'ties' | 'equal' | 'odd' | 'near';
  /** Rows have starts. */
  readonly starts?: boolean;
  /** Tokens of a page: indices become places. */
  readonly page?: number;
  readonly graph?: boolean;
}

interface Drawn {
  readonly problem: IndexTopKProblem;
  readonly table: Int32Array | undefined;
}

const op = 'index-top-k';

const quick: readonly IndexTopKParams[] = [
  { op, rows: 4, columns: 300, k: 32, values: 'normal' },
  { op, rows: 3, columns: 1000, k: 100, values: 'ties', starts: true },
  { op, rows: 3, columns: 90, k: 128, values: 'odd' },
  { op, rows: 4, columns: 640, k: 64, values: 'odd', page: 16 },
  { op, rows: 2, columns: 5000, k: 2048, values: 'near', page: 64 },
  { op, rows: 3, columns: 20_000, k: 2048, values: 'normal' },
  { op, rows: 2, columns: 17_000, k: 512, values: 'ties', starts: true, page: 64 },
  { op, rows: 2, columns: 16_600, k: 64, values: 'equal' },
  { op, rows: 4, columns: 16_400, k: 2048, values: 'odd', graph: true },
];

const full: readonly IndexTopKParams[] = [
  ...(['normal', 'ties', 'equal', 'odd', 'near'] as const).flatMap((values): IndexTopKParams[] => [
    { op, rows: 5, columns: 8192, k: 2048, values },
    { op, rows: 32, columns: 131_072, k: 2048, values },
    { op, rows: 1, columns: 1_000_000, k: 4096, values },
  ]),
];

export const indexTopKCases = defineCases<IndexTopKParams, Drawn>({
  quick,
  full,
  cost: ({ rows, columns }) => rows * columns * 60,

  problem({ rows, columns, k, values, starts: hasStarts, page }, random) {
    const draw = {
      normal: () => random.normal(),
      ties: () => random.integer(-3, 3) / 2,
      equal: () => 1.5,
      odd: () => random.pick([Number.NaN, -Infinity, Infinity, 0, -0, random.normal(), 1e-42]),
      near: () => 1 + random.integer(0, 4000) * 2 ** -23,
    }[values];
    const logits = Float32Array.from({ length: rows * columns }, draw);
    // A row with fewer columns than are chosen, and an empty one.
    const ends = Int32Array.from({ length: rows }, (_, row) =>
      row === 1 ? Math.ceil(k / 2) : row === 3 ? 0 : columns - 3 * row,
    );
    const starts = Int32Array.from({ length: rows }, (_, row) => (hasStarts ? 5 * row + 1 : 0));
    const pages = Array.from({ length: rows * Math.ceil(columns / (page ?? 1)) }, (_, i) => i);
    const table = page ? Int32Array.from(random.shuffle(pages)) : undefined;
    if (table) table[0] = -1;
    return { problem: { logits, columns, k, starts, ends }, table };
  },

  expected({ problem, table }, { rows, k, page = 1 }) {
    const positions = topKReference(problem);
    const width = (table?.length ?? 0) / rows;
    const places = Float64Array.from(positions, (position, i) => {
      if (!table || position < 0) return position;
      const number = table[Math.floor(i / k) * width + Math.floor(position / page)] as number;
      return number < 0 ? -1 : number * page + (position % page);
    });
    return { indices: { values: places, rowLength: k, tolerance: exact } };
  },

  upload(uploads, { problem, table }, { rows, columns, k, starts, page }) {
    const ints = (data: Int32Array, ...shape: number[]) =>
      uploads.put(hostTensor('i32', shape, data));
    const options = {
      ...{ logits: uploads.put(hostTensor('f32', [rows, columns], problem.logits)), k },
      ends: ints(problem.ends, rows),
      ...(starts && { starts: ints(problem.starts, rows) }),
      ...(table && { blockTable: ints(table, rows, table.length / rows), pageSize: page }),
      out: uploads.poisoned([rows, k], 'i32'),
    };
    return () => ({ indices: indexTopK(options) });
  },
});
