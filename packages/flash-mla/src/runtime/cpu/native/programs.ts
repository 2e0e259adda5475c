import type { AbiName, Program } from '@flash-mla/machine-code';
import { attendKernels } from './kernels/attend/attend.ts';
import { dotsKernels } from './kernels/dots/dots.ts';
import { rowsAmx, rowsAmxTokens } from './kernels/rows/rows-amx.ts';
import { rowsBf16, rowsBf16Tokens } from './kernels/rows/rows-bf16.ts';
import type { NativeKind, Selection } from './selection.ts';
import { type AttendShape, attendProblem } from './self-test/attend-problem.ts';
import { type DotsShape, dotsProblem } from './self-test/dots-problem.ts';
import type { NativeProblem } from './self-test/problem.ts';
import { rowsProblem } from './self-test/rows-problem.ts';

/** A kernel's code, with small problems that show whether it is right. */
export interface NativeProgram {
  readonly program: Program;
  readonly problems: () => readonly NativeProblem[];
}

/** All that a device runs with. */
export interface NativePrograms {
  readonly attend: NativeProgram;
  readonly dots: NativeProgram;
  readonly rows: (NativeProgram & { readonly tokens: number }) | undefined;
}

/** Few, small, and yet every part of a kernel: whole and cut tiles, rows and columns, a mask. */
const shapes: readonly AttendShape[] = [
  { rows: 45, tokens: 63, headDimQk: 96, headDimV: 64, masked: true, continued: true },
  { rows: 16, tokens: 64, headDimQk: 192, headDimV: 128, masked: false, continued: false },
];

const dotsShapes: readonly DotsShape[] = [
  { rows: 7, columns: 9, depth: 48, bf16: true },
  { rows: 3, columns: 5, depth: 64, bf16: false },
];

/** The code of what was selected. */
export function programsOf(
  { kind, bf16Products }: Selection & { readonly kind: NativeKind },
  abi: AbiName,
): NativePrograms {
  const vectors = kind === 'avx2' ? 'avx2' : 'avx512';
  const [rows, tokens] =
    kind === 'amx' ? ([rowsAmx, rowsAmxTokens] as const) : ([rowsBf16, rowsBf16Tokens] as const);
  return {
    attend: {
      program: attendKernels[vectors].assemble(abi),
      problems: () => shapes.map((shape) => attendProblem(vectors, shape)),
    },
    dots: {
      program: dotsKernels[vectors].assemble(abi),
      problems: () => dotsShapes.map((shape) => dotsProblem(vectors, shape)),
    },
    rows: bf16Products
      ? {
          program: rows.assemble(abi),
          problems: () => shapes.map((shape) => rowsProblem(rows, tokens, shape)),
          tokens,
        }
      : undefined,
  };
}
