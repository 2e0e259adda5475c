import { describe, expect, it } from 'vitest';
import type { AttendShape } from '../../self-test/attend-problem.ts';
import { rowsProblem } from '../../self-test/rows-problem.ts';
import { emulatedRows } from '../../testing/emulated-amx.ts';
import { abi, runBeforeGuard, runs } from '../../testing/machine.ts';
import { rowsAmxFeatures, rowsAmxTokens, rowsBf16Features, rowsBf16Tokens } from '../features.ts';
import { rowsAmx } from './rows-amx.ts';
import { rowsBf16 } from './rows-bf16.ts';

const base: AttendShape = {
  rows: 16,
  tokens: 64,
  headDimQk: 576,
  headDimV: 512,
  masked: false,
  continued: false,
};
const shapes: AttendShape[] = [
  base,
  { ...base, rows: 128, masked: true, continued: true },
  { ...base, rows: 5, tokens: 1, continued: true },
  { ...base, rows: 23, tokens: 37, continued: true },
  { ...base, rows: 45, tokens: 63, masked: true },
  { ...base, rows: 33, tokens: 5, headDimQk: 64, headDimV: 32, continued: true },
  { ...base, rows: 61, tokens: 19, headDimQk: 128, headDimV: 128, masked: true },
];

const kernels = [
  ['avx512_bf16', rowsBf16, rowsBf16Features, rowsBf16Tokens],
  ['amx_bf16', rowsAmx, rowsAmxFeatures, rowsAmxTokens],
  ['emulated tiles', emulatedRows, rowsBf16Features, rowsAmxTokens],
] as const;

describe.each(kernels)('attending to bf16 tokens in place with %s', (_, kernel, needed, most) => {
  const more = { ...base, rows: 40, tokens: 241, headDimQk: 96, headDimV: 64, continued: true };
  const whole = { ...base, rows: 8, tokens: 256, headDimQk: 128, headDimV: 96 };
  const all = [...shapes, more, { ...more, masked: true }, whole]
    .filter(({ tokens }) => tokens <= most)
    .flatMap((shape) =>
      [{}, { scattered: true }, { gap: 6 }].map((place) => ({ ...shape, ...place })),
    );

  it.skipIf(!runs(needed)).each(all)(
    '$rows rows, $tokens tokens, $headDimQk/$headDimV',
    (shape) => {
      const problem = rowsProblem(kernel, most, shape, shape);
      const result = runBeforeGuard(kernel.assemble(abi), problem);
      expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
    },
  );

  const few = all.filter(({ rows }) => rows <= 16 && kernel !== rowsBf16);
  it.skipIf(!runs(needed)).each(few)(
    'with values as they lie: $rows rows, $tokens tokens, $headDimQk/$headDimV',
    (shape) => {
      const place = { ...shape, columnPairs: true };
      const problem = rowsProblem(kernel, most, shape, place);
      const result = runBeforeGuard(kernel.assemble(abi), problem);
      expect(problem.errorOf(result)).toBeLessThan(problem.tolerance);
    },
  );

  it.skipIf(!runs(needed)).each([0x7f80, 0xffc1])(
    'refuses to mask a value of %d, and changes nothing else',
    (code) => {
      const shape = { ...base, rows: 20, tokens: 9, headDimQk: 64, headDimV: 64 };
      for (const masked of [true, false]) {
        const problem = rowsProblem(kernel, most, { ...shape, masked });
        const last = problem.memory.length - 2 * shape.headDimQk;
        new DataView(problem.memory.buffer).setUint16(last + 2 * 63, code, true);
        const result = runBeforeGuard(kernel.assemble(abi), problem);
        const changed = result.findIndex((byte, i) => byte !== problem.memory[i]);
        const status = kernel.jobLayout.offsets.get('status')?.offset ?? -1;
        expect(changed === status && result[status] === 1).toBe(masked);
      }
    },
  );
});
