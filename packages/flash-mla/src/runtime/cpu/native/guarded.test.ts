import type { Feature, Kernel } from '@flash-mla/machine-code';
import { describe, expect, it } from 'vitest';
import { attendKernels } from './kernels/attend/attend.ts';
import { copyKernel } from './kernels/copy/copy.ts';
import { dequantizeKernels } from './kernels/dequantize/dequantize.ts';
import { dotsKernels } from './kernels/dots/dots.ts';
import {
  rowsAmxFeatures,
  rowsAmxTokens,
  rowsBf16Features,
  rowsBf16Tokens,
  vectorFeatures,
} from './kernels/features.ts';
import { normKernels } from './kernels/norm/norm.ts';
import { packKernels } from './kernels/pack/pack.ts';
import { productsAmx } from './kernels/products/products-amx.ts';
import { rowsAmx } from './kernels/rows/rows-amx.ts';
import { rowsBf16 } from './kernels/rows/rows-bf16.ts';
import { scaledDotsKernels } from './kernels/scaled-dots/scaled-dots.ts';
import { unpackKernel } from './kernels/unpack/unpack.ts';
import { type AttendShape, attendProblem } from './self-test/attend-problem.ts';
import { copyProblem } from './self-test/copy-problem.ts';
import { dequantizeProblem } from './self-test/dequantize-problem.ts';
import { dotsProblem } from './self-test/dots-problem.ts';
import { normProblem } from './self-test/norm-problem.ts';
import { packProblem } from './self-test/pack-problem.ts';
import type { NativeProblem } from './self-test/problem.ts';
import { productsProblem } from './self-test/products-problem.ts';
import { rowsProblem } from './self-test/rows-problem.ts';
import { scaledDotsProblem } from './self-test/scaled-dots-problem.ts';
import { unpackProblem } from './self-test/unpack-problem.ts';
import { emulatedKernels } from './testing/emulated-amx.ts';
import { guardedTiles, runGuarded } from './testing/guarded.ts';
import { runs } from './testing/machine.ts';

const emulated = emulatedKernels(guardedTiles);

const base: AttendShape = {
  rows: 16,
  tokens: 64,
  headDimQk: 192,
  headDimV: 128,
  masked: false,
  continued: false,
};
const shapes: AttendShape[] = [
  base,
  { ...base, rows: 128, masked: true, continued: true },
  { ...base, rows: 5, tokens: 1, continued: true },
  { ...base, rows: 23, tokens: 37, headDimQk: 576, headDimV: 512 },
  { ...base, rows: 45, tokens: 63, masked: true, headDimQk: 96, headDimV: 96 },
];
const odd: AttendShape[] = [
  { ...base, rows: 33, tokens: 5, headDimQk: 41, headDimV: 23, continued: true },
  { ...base, rows: 7, tokens: 2, headDimQk: 3, headDimV: 1 },
];

const rowsProblems = (kernel: Parameters<typeof rowsProblem>[0], most: number) =>
  [...shapes, { ...base, rows: 40, tokens: most - 15, continued: true }].flatMap((shape) =>
    [{}, { scattered: true }, { gap: 6 }].map((place) => rowsProblem(kernel, most, shape, place)),
  );
const dotsProblems = (kind: 'avx512' | 'avx2') =>
  [1, 3, 7].flatMap((rows) =>
    [1, 5, 9].flatMap((columns) =>
      [true, false].map((bf16) => dotsProblem(kind, { rows, columns, depth: 48, bf16 })),
    ),
  );
const scaledDotsProblems = (kind: 'avx512' | 'avx2') =>
  [1, 3, 7].flatMap((rows) =>
    [1, 5, 9].flatMap((columns) =>
      [32, 160].map((depth) => scaledDotsProblem(kind, { rows, columns, depth })),
    ),
  );
const packShapes = [1, 3].flatMap((rows) => [true, false].map((isModel1) => ({ rows, isModel1 })));
const elements = ['bf16', 'f32'] as const;
const normProblems = (kind: 'avx512' | 'avx2') =>
  elements.flatMap((x) =>
    elements.flatMap((out) => [
      normProblem(kind, { columns: 96, x, out }),
      ...elements.map((residual) => normProblem(kind, { columns: 32, x, out, residual })),
    ]),
  );
const productsProblems = (kernel: Parameters<typeof productsProblem>[0]) =>
  [1, 16, 37].flatMap((rows) =>
    [16, 31, 50].map((columns) => productsProblem(kernel, { rows, columns, depth: 96 })),
  );
const attendProblems = (kind: 'avx512' | 'avx2') =>
  [...shapes, ...odd].map((shape) => attendProblem(kind, shape));

type Row = [string, readonly Feature[], Pick<Kernel, 'assemble'>, () => NativeProblem[]];
const kernels: Row[] = [
  ['attend_avx512', vectorFeatures.avx512, attendKernels.avx512, () => attendProblems('avx512')],
  ['attend_avx2', vectorFeatures.avx2, attendKernels.avx2, () => attendProblems('avx2')],
  ['dots_avx512', vectorFeatures.avx512, dotsKernels.avx512, () => dotsProblems('avx512')],
  ['dots_avx2', vectorFeatures.avx2, dotsKernels.avx2, () => dotsProblems('avx2')],
  [
    'scaled_dots_avx512',
    vectorFeatures.avx512,
    scaledDotsKernels.avx512,
    () => scaledDotsProblems('avx512'),
  ],
  [
    'scaled_dots_avx2',
    vectorFeatures.avx2,
    scaledDotsKernels.avx2,
    () => scaledDotsProblems('avx2'),
  ],
  ...(['avx512', 'avx2'] as const).flatMap((kind): Row[] => [
    [
      `pack_${kind}`,
      vectorFeatures[kind],
      packKernels[kind],
      () => packShapes.map((shape) => packProblem(kind, shape)),
    ],
    [
      `dequantize_${kind}`,
      vectorFeatures[kind],
      dequantizeKernels[kind],
      () => packShapes.map((shape) => dequantizeProblem(kind, shape)),
    ],
    [`norm_${kind}`, vectorFeatures[kind], normKernels[kind], () => normProblems(kind)],
  ]),
  ['copy_avx2', vectorFeatures.avx2, copyKernel, () => [1, 64, 301].map(copyProblem)],
  [
    'unpack_avx512',
    vectorFeatures.avx512,
    unpackKernel,
    () =>
      [1, 2, 7].flatMap((rows) => [
        unpackProblem({ rows, tiles: 4, tileValues: 128 }),
        unpackProblem({ rows, tiles: 7, tileValues: 64 }),
      ]),
  ],
  ['rows_bf16', rowsBf16Features, rowsBf16, () => rowsProblems(rowsBf16, rowsBf16Tokens)],
  ['rows_amx', rowsAmxFeatures, rowsAmx, () => rowsProblems(rowsAmx, rowsAmxTokens)],
  ['products_amx', rowsAmxFeatures, productsAmx, () => productsProblems(productsAmx)],
  [
    'rows_amx, tiles in memory',
    rowsBf16Features,
    emulated.rows,
    () => rowsProblems(emulated.rows, rowsAmxTokens),
  ],
  [
    'products_amx, tiles in memory',
    rowsBf16Features,
    emulated.products,
    () => productsProblems(emulated.products),
  ],
];

describe.each(kernels)(
  '%s, each operand between pages of its own',
  (_, needed, kernel, problems) => {
    it.skipIf(!runs(needed)).each(['end', 'start'] as const)(
      'touches nothing beside them, at their %s',
      (side) => {
        const all = problems();
        const { results, signal, errors } = runGuarded(kernel, all, side);
        expect({ done: results.length, signal, errors }).toEqual({
          ...{ done: all.length, signal: null, errors: '' },
        });
        for (const [i, result] of results.entries()) {
          const problem = all[i] as NativeProblem;
          expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
        }
      },
    );
  },
);

it.skipIf(!runs(vectorFeatures.avx2))('such a page ends the process that touches it', () => {
  const problem = dotsProblem('avx2', { rows: 3, columns: 5, depth: 48, bf16: true });
  for (const i of problem.operands.keys()) {
    const operands = problem.operands.map((operand, j) =>
      i === j ? { ...operand, bytes: operand.bytes - 8 } : operand,
    );
    const { signal } = runGuarded(dotsKernels.avx2, [{ ...problem, operands }], 'end');
    expect({ i, signal }).toEqual({ i, signal: 'SIGSEGV' });
  }
});
