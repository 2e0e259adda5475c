import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import { roundingOf } from '../conformance/tolerance.ts';
import { applyRope } from './apply-rope.ts';
import { type RopeProblem, applyRope as ropeReference } from './reference.ts';

interface RopeParams {
  readonly op: 'rope';
  readonly rows: number;
  readonly heads: number;
  readonly dim: number;
  readonly pairs: 'interleaved' | 'half';
  readonly x: 'bf16' | 'f32';
  /** Rows name their positions, some of them beyond the tables. */
  readonly positions?: boolean;
  /** Dtype of an output; absent: in place. */
  readonly out?: 'bf16' | 'f32';
  /** Columns before the rotated ones, which stay. */
  readonly before?: number;
}

const op = 'rope';
const known = 40;

const quick: readonly RopeParams[] = [
  {
    op,
    rows: 3,
    heads: 16,
    dim: 64,
    pairs: 'interleaved',
    x: 'bf16',
    positions: true,
    before: 128,
  },
  { op, rows: 5, heads: 1, dim: 64, pairs: 'interleaved', x: 'bf16', before: 512 },
  { op, rows: 4, heads: 3, dim: 32, pairs: 'half', x: 'bf16', positions: true, out: 'bf16' },
  { op, rows: 4, heads: 2, dim: 64, pairs: 'half', x: 'f32', positions: true, before: 3 },
  { op, rows: 5, heads: 2, dim: 6, pairs: 'interleaved', x: 'bf16', out: 'f32', before: 1 },
  { op, rows: 4, heads: 2, dim: 18, pairs: 'half', x: 'bf16', before: 5, positions: true },
  { op, rows: 2, heads: 4, dim: 512, pairs: 'half', x: 'f32', out: 'bf16' },
];

const full: readonly RopeParams[] = [1, 33].flatMap((rows) =>
  (['interleaved', 'half'] as const).flatMap((pairs) =>
    (['bf16', 'f32'] as const).flatMap((x): RopeParams[] => [
      { op, rows, heads: 128, dim: 64, pairs, x, positions: true, before: 128 },
      { op, rows, heads: 40, dim: 32, pairs, x, positions: true, out: 'bf16' },
    ]),
  ),
);

export const ropeCases = defineCases<RopeParams, RopeProblem>({
  quick,
  full,
  cost: ({ rows, heads, dim }) => rows * heads * dim * 10,

  problem({ rows, heads, dim, pairs, x, positions }, random) {
    const half = dim / 2;
    const angles = Float64Array.from(
      { length: known * half },
      (_, i) => Math.floor(i / half) * 10_000 ** (-(i % half) / half),
    );
    const table = (of: (angle: number) => number): HostTensor<'f32'> => ({
      ...{ dtype: 'f32', shape: [known, half] },
      data: Float32Array.from(angles, of),
    });
    const data = Int32Array.from({ length: rows }, () => random.integer(0, known - 1));
    if (rows > 3) data.set([-1, known], 1);
    return {
      x: drawNormals(random.stream('x'), x, [rows, heads, dim], 1),
      ...{ cos: table(Math.cos), sin: table(Math.sin), interleaved: pairs === 'interleaved' },
      positions: positions ? { dtype: 'i32', shape: [rows], data } : undefined,
    };
  },

  expected: (problem, { x, out = x, dim }) => ({
    out: { values: ropeReference(problem), rowLength: dim, tolerance: roundingOf(out) },
  }),

  upload(uploads, problem, { rows, heads, dim, pairs, out: dtype, before = 0 }) {
    const options = {
      x: (before > 0 ? uploads.putStrided(problem.x, before) : uploads.put(problem.x)) as Tensor<
        'bf16' | 'f32'
      >,
      ...{ cos: uploads.put(problem.cos), sin: uploads.put(problem.sin), pairs },
      positions: problem.positions && uploads.put(problem.positions),
      out: dtype && uploads.poisoned([rows, heads, dim + before], dtype).slice(2, 0, dim),
    };
    return () => ({ out: applyRope(options) });
  },
});
