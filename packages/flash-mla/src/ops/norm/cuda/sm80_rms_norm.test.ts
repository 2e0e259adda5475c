import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../kernel-lib/cuda/testing/sim-context.ts';
import { portableRmsNorm, type RmsNormProblem } from './sm80_rms_norm_launch.ts';

const rows = (dtype: 'bf16' | 'f32' | 'e4m3', alignment = 16) => ({
  ...{ dtype, strides: [4096], alignment },
});

const problem = (columns: number, more: Partial<RmsNormProblem> = {}): RmsNormProblem => ({
  ...{ rows: 4, columns, x: rows('bf16'), out: rows('bf16'), weight: rows('bf16') },
  ...{ residual: undefined, powerOfTwoScales: false, ...more },
});

describe('the key of RMSNorm', () => {
  const limits = limitsFor('h200');
  const keyOf = (args: RmsNormProblem) => portableRmsNorm.keyOf(args);

  it('holds neither rows nor strides', () => {
    const far = { dtype: 'bf16', strides: [9000], alignment: 16 } as const;
    expect(keyOf(problem(512, { rows: 999, x: far }))).toEqual(keyOf(problem(512)));
    const { kernel, config, grid } = portableRmsNorm.plan(problem(512)).launches.main;
    expect([kernel.name, grid, limits.sm]).toEqual(['sm80_rms_norm', [4, 1, 1], 90]);
    expect(config).toEqual(portableRmsNorm.plan(problem(512, { rows: 7 })).launches.main.config);
  });

  it('holds all that the code depends on', () => {
    const others = [
      problem(520),
      problem(512, { x: rows('f32') }),
      problem(512, { x: rows('bf16', 4) }),
      problem(512, { residual: rows('bf16') }),
      problem(512, { out: rows('e4m3') }),
      problem(512, { out: rows('e4m3'), powerOfTwoScales: true }),
    ];
    const keys = new Set([problem(512), ...others].map((each) => JSON.stringify(keyOf(each))));
    expect(keys.size).toBe(1 + others.length);
  });
});

it('rows of equal values become ones', () => {
  const context = new SimContext(limitsFor('a100'));
  const data = new Uint16Array(2 * 2048).fill(0x4000);
  const x = context.tensor('bf16', [2, 2048], data);
  const weight = context.tensor('bf16', [2048], new Uint16Array(2048).fill(0x3f80));
  const out = context.empty('bf16', [2, 2048], data.byteLength);
  context.run(portableRmsNorm, {
    ...{ x, weight, out, residual: undefined, scales: undefined, eps: 0 },
    powerOfTwoScales: false,
  });
  expect(new Set(new Uint16Array(context.read(out).buffer))).toEqual(new Set([0x3f80]));
});

describe('RMSNorm as machine code', () => {
  const launch = (name: string, each: RmsNormProblem) => ({
    name,
    launch: () => portableRmsNorm.plan(each).launches.main,
  });
  itAssembles([
    launch('2048 bf16', problem(2048, { residual: rows('bf16') })),
    launch('7168 to e4m3', problem(7168, { out: rows('e4m3'), residual: rows('bf16') })),
    launch(
      '32768 f32',
      problem(32768, { x: rows('f32'), residual: rows('f32'), out: rows('f32') }),
    ),
    launch('37, unaligned', problem(37, { x: rows('bf16', 2), out: rows('bf16', 2) })),
    launch('powers of two', problem(512, { out: rows('e4m3', 1), powerOfTwoScales: true })),
  ]);
});
