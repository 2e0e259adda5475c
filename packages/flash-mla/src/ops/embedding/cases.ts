import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import { roundingOf } from '../conformance/tolerance.ts';
import { embedding } from './embedding.ts';
import { embedding as embeddingReference } from './reference.ts';

interface EmbeddingParams {
  readonly op: 'embedding';
  readonly rows: number;
  readonly entries: number;
  readonly columns: number;
  readonly table: 'bf16' | 'f32';
  readonly out: 'bf16' | 'f32';
  readonly scale?: number;
  readonly gap?: number;
  readonly graph?: boolean;
}

interface EmbeddingProblem {
  readonly table: HostTensor;
  readonly ids: HostTensor<'i32'>;
}

const bf16 = { op: 'embedding', table: 'bf16', out: 'bf16' } as const;

const quick: readonly EmbeddingParams[] = [
  { ...bf16, rows: 9, entries: 50, columns: 2048 },
  { ...bf16, rows: 12, entries: 7, columns: 37, gap: 1 },
  { ...bf16, rows: 5, entries: 30, columns: 576, out: 'f32', scale: 12 },
  { ...bf16, rows: 6, entries: 3, columns: 40, table: 'f32', gap: 4, scale: 0.5 },
  { ...bf16, rows: 4, entries: 20, columns: 1, table: 'f32', out: 'f32' },
  { ...bf16, rows: 8, entries: 20, columns: 64, graph: true },
];

const full: readonly EmbeddingParams[] = [1, 33, 500].flatMap((rows) =>
  [2048, 2560, 7168].map((columns) => ({ ...bf16, rows, entries: 1000, columns })),
);

/** Ids beyond both ends are among them. */
export const embeddingCases = defineCases<EmbeddingParams, EmbeddingProblem>({
  quick,
  full,
  cost: ({ rows, columns }) => rows * columns * 10,

  problem({ rows, entries, columns, table }, random) {
    const ids = Int32Array.from({ length: rows }, () => random.integer(0, entries - 1));
    if (rows > 3) ids.set([-1, entries, 2 ** 31 - 1], 1);
    return {
      table: drawNormals(random.stream('table'), table, [entries, columns], 1),
      ids: { dtype: 'i32', shape: [rows], data: ids },
    };
  },

  expected: ({ table, ids }, { columns, out, scale = 1 }) => ({
    out: {
      values: embeddingReference(table, ids.data, scale),
      ...{ rowLength: columns, tolerance: roundingOf(out) },
    },
  }),

  upload(uploads, problem, { rows, columns, out: dtype, scale, gap = 0 }) {
    const table = gap > 0 ? uploads.putStrided(problem.table, gap) : uploads.put(problem.table);
    const out = uploads.poisoned([rows, columns + gap], dtype).slice(1, 0, columns);
    const options = { table: table as Tensor<'bf16' | 'f32'>, ids: uploads.put(problem.ids) };
    return () => ({ out: embedding({ ...options, scale, out }) });
  },
});
