/** Every kernel with its sources, for the build, the self-test and people: opening a device needs none of this. */

import { type AbiName, detectFeatures, type Kernel, type Program } from '@flash-mla/machine-code';
import { attendKernels } from './kernels/attend/attend.ts';
import { copyKernel } from './kernels/copy/copy.ts';
import { dequantizeKernels } from './kernels/dequantize/dequantize.ts';
import { dotsKernels } from './kernels/dots/dots.ts';
import { rowsAmxTokens, rowsBf16Tokens } from './kernels/features.ts';
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
import { type DotsShape, dotsProblem } from './self-test/dots-problem.ts';
import { type NormShape, normProblem } from './self-test/norm-problem.ts';
import { type PackShape, packProblem } from './self-test/pack-problem.ts';
import type { NativeProblem } from './self-test/problem.ts';
import { type ProductsShape, productsProblem } from './self-test/products-problem.ts';
import { rowsProblem } from './self-test/rows-problem.ts';
import { type ScaledDotsShape, scaledDotsProblem } from './self-test/scaled-dots-problem.ts';
import { unpackProblem } from './self-test/unpack-problem.ts';

/** Few, small, and yet every part of a kernel: whole and cut tiles, rows and columns, a mask. */
const shapes: readonly AttendShape[] = [
  { rows: 45, tokens: 63, headDimQk: 96, headDimV: 64, masked: true, continued: true },
  { rows: 16, tokens: 64, headDimQk: 192, headDimV: 128, masked: false, continued: false },
];

/** For few rows: four tiles of tokens and two. */
const panelShape: AttendShape = {
  ...{ rows: 9, tokens: 83, headDimQk: 128, headDimV: 96 },
  ...{ masked: true, continued: true },
};

const dotsShapes: readonly DotsShape[] = [
  { rows: 7, columns: 9, depth: 48, bf16: true },
  { rows: 3, columns: 5, depth: 64, bf16: false },
];

const scaledDotsShapes: readonly ScaledDotsShape[] = [
  { rows: 7, columns: 9, depth: 224, withNaN: true },
  { rows: 3, columns: 5, depth: 64 },
];

const productsShapes: readonly ProductsShape[] = [{ rows: 37, columns: 50, depth: 96 }];

const packShapes: readonly PackShape[] = [
  { rows: 5, isModel1: false },
  { rows: 6, isModel1: true },
];

const normShapes: readonly NormShape[] = [
  { columns: 64, x: 'bf16', residual: 'bf16', out: 'bf16' },
  { columns: 96, x: 'f32', residual: 'f32', out: 'f32' },
  { columns: 32, x: 'bf16', out: 'f32' },
];

interface NativeKernel {
  readonly kernel: Pick<Kernel, 'name' | 'assemble'>;
  /** Small problems that show whether it is right. */
  problems(): NativeProblem[];
}

const all: readonly NativeKernel[] = [
  ...(['avx512', 'avx2'] as const).flatMap((kind) => [
    {
      kernel: attendKernels[kind],
      problems: () => shapes.map((shape) => attendProblem(kind, shape)),
    },
    {
      kernel: dotsKernels[kind],
      problems: () => dotsShapes.map((shape) => dotsProblem(kind, shape)),
    },
    {
      kernel: scaledDotsKernels[kind],
      problems: () => scaledDotsShapes.map((shape) => scaledDotsProblem(kind, shape)),
    },
    {
      kernel: packKernels[kind],
      problems: () => packShapes.map((shape) => packProblem(kind, shape)),
    },
    {
      kernel: dequantizeKernels[kind],
      problems: () => packShapes.map((shape) => dequantizeProblem(kind, shape)),
    },
    {
      kernel: normKernels[kind],
      problems: () => normShapes.map((shape) => normProblem(kind, shape)),
    },
  ]),
  {
    kernel: copyKernel,
    problems: () => [copyProblem(301)],
  },
  {
    kernel: unpackKernel,
    problems: () => [
      unpackProblem({ rows: 4, tiles: 4, tileValues: 128 }),
      unpackProblem({ rows: 5, tiles: 7, tileValues: 64 }),
    ],
  },
  {
    kernel: rowsAmx,
    problems: () => [
      ...shapes.map((shape) => rowsProblem(rowsAmx, rowsAmxTokens, shape)),
      rowsProblem(rowsAmx, rowsAmxTokens, panelShape, { columnPairs: true }),
    ],
  },
  {
    kernel: productsAmx,
    problems: () => productsShapes.map((shape) => productsProblem(productsAmx, shape)),
  },
  {
    kernel: rowsBf16,
    problems: () => shapes.map((shape) => rowsProblem(rowsBf16, rowsBf16Tokens, shape)),
  },
];

/** The code of every kernel, and of the one that asks the processor. */
export function allPrograms(abi: AbiName): Program[] {
  return [detectFeatures.assemble(abi), ...all.map(({ kernel }) => kernel.assemble(abi))];
}

/** A kernel by name. @throws RangeError where there is none. */
function find(name: string): NativeKernel {
  const found = all.find(({ kernel }) => kernel.name === name);
  if (found) return found;
  throw new RangeError(`there is no kernel ${name}`);
}

export const programOf = (name: string, abi: AbiName): Program => find(name).kernel.assemble(abi);

export const problemsOf = (name: string): NativeProblem[] => find(name).problems();
