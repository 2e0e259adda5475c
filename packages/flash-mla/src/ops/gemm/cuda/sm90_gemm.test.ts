import { describe, expect, it } from 'vitest';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../kernel-lib/cuda/testing/sim-context.ts';
import type { GemmArgs } from '../operation.ts';
import type { GemmProblem } from './problem.ts';
import { chooseTile } from './sm90/choose-tile.ts';
import { hopperE4m3Gemm } from './sm90_e4m3_gemm_launch.ts';
import { hopperGemm } from './sm90_gemm_launch.ts';

const limits: DeviceLimits = { ...limitsFor('h200'), specificTarget: 'sm_90a' };

const rows = (dtype: 'bf16' | 'f32' | 'e4m3', alignment = 16) => ({
  ...{ dtype, strides: [4096, 4096], alignment },
});

const problem = (more: Partial<GemmProblem> = {}): GemmProblem => ({
  ...{ rows: 4096, batch: 1, columns: 2048, depth: 2048, transposed: false, allowsE4m3Rows: false },
  ...{ x: rows('bf16'), weight: rows('bf16'), out: 'bf16', outAlignment: 16 },
  ...{ bias: undefined, residual: undefined, ...more },
});

const bf16 = (value: number) => {
  const [word = 0] = new Uint32Array(Float32Array.of(value).buffer);
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
};

/** Small integers: sums are exact whatever their order. */
const integers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => ((i * 7 + seed * 13 + (i >> 5)) % 9) - 4);

interface Case {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly batch?: number;
  readonly smCount?: number;
  readonly all?: boolean;
  readonly out?: 'bf16' | 'f32';
}

/** Runs a product in the simulator and on the host. */
function compute({ rows: m, columns: n, depth: d, batch = 1, smCount = 4, all, out }: Case) {
  const context = new SimContext({ ...limits, smCount });
  const [x, weight] = [integers(m * batch * d, 1), integers(batch * n * d, 2)];
  const [bias, residual] = [integers(n, 3), integers(m * batch * n, 4)];
  const put = (values: Float32Array, shape: number[]) =>
    context.tensor('bf16', shape, Uint16Array.from(values, bf16));
  const dtype = out ?? 'bf16';
  const args: GemmArgs = {
    ...{ x: put(x, [m, batch, d]), weight: put(weight, [batch, n, d]), weightScales: undefined },
    ...{ transposed: false, scale: 0.5, allowsE4m3Rows: false },
    bias: all ? put(bias, [n]) : undefined,
    residual: all ? put(residual, [m, batch, n]) : undefined,
    out: context.empty(dtype, [m, batch, n], m * batch * n * (dtype === 'f32' ? 4 : 2)),
  };
  expect(hopperGemm.accepts(hopperGemm.problemOf(args), context.limits)).toBe(true);
  context.run(hopperGemm, args);
  const bytes = context.read(args.out);
  const found =
    dtype === 'f32'
      ? new Float32Array(bytes.buffer)
      : Float32Array.from(new Uint16Array(bytes.buffer), (code) => {
          return new Float32Array(Uint32Array.of(code << 16).buffer)[0] as number;
        });
  const wrong: string[] = [];
  for (let i = 0; i < m * batch * n && wrong.length < 3; i++) {
    const [row, b, column] = [Math.floor(i / (batch * n)), Math.floor(i / n) % batch, i % n];
    let sum = all ? (bias[column] as number) : 0;
    for (let c = 0; c < d; c++) {
      const a = x[(row * batch + b) * d + c] as number;
      sum += a * (weight[(b * n + column) * d + c] as number);
    }
    const value = sum * 0.5 + (all ? (residual[i] as number) : 0);
    const [rounded = 0] = new Float32Array(Uint32Array.of(bf16(value) << 16).buffer);
    const wanted = dtype === 'f32' ? value : rounded;
    if (found[i] !== wanted) wrong.push(`[${row}, ${b}, ${column}] ${found[i]}, not ${wanted}`);
  }
  return wrong;
}

describe('products on warp groups', () => {
  it.each<[string, Case]>([
    ['a tile that is not whole', { rows: 33, columns: 40, depth: 72 }],
    ['several tiles a CTA', { rows: 200, columns: 328, depth: 128, smCount: 2 }],
    ['bias, residual, scale', { rows: 130, columns: 72, depth: 64, all: true }],
    ['f32 results', { rows: 65, columns: 20, depth: 64, out: 'f32', all: true }],
    ['columns that are not whole', { rows: 40, columns: 21, depth: 64 }],
    ['a batch', { rows: 40, columns: 48, depth: 64, batch: 3 }],
    ['more steps than stages', { rows: 70, columns: 64, depth: 1288 }],
  ])('in the simulator: %s', (_, each) => {
    expect(compute(each)).toEqual([]);
  });

  it('choose tiles by the sizes', () => {
    const tile = (m: number, n: number) => {
      const {
        rows: r,
        columns,
        cluster,
        shares,
      } = chooseTile('bf16', { rows: m, columns: n, depth: 2048, batch: 1 }, limits);
      return [r, columns, cluster, cluster > 1 ? shares : ''].join(' ');
    };
    expect([64, 128, 512, 4096].map((m) => tile(m, 3648))).toMatchInlineSnapshot(`
      [
        "64 32 4 rows",
        "128 32 4 rows",
        "128 128 4 rows",
        "128 192 2 weights",
      ]
    `);
    expect([64, 128, 512, 4096].map((m) => tile(m, 2048))).toMatchInlineSnapshot(`
      [
        "64 16 4 rows",
        "128 16 4 rows",
        "128 64 4 rows",
        "128 256 2 weights",
      ]
    `);
    expect(tile(4096, 22_528)).toMatchInlineSnapshot(`"128 256 2 weights"`);
    expect(tile(3000, 2048)).toBe(tile(4096, 2048));
  });

  it('leave what tensor copies cannot bring to others', () => {
    const takes = (more: Partial<GemmProblem>) => hopperGemm.accepts(problem(more), limits);
    expect(takes({})).toBe(true);
    expect(takes({ depth: 2044 })).toBe(false);
    expect(takes({ x: rows('bf16', 8) })).toBe(false);
    expect(takes({ weight: rows('e4m3') })).toBe(false);
    expect(takes({ transposed: true })).toBe(false);
    expect(takes({ x: { ...rows('bf16'), strides: [0, 0] } })).toBe(false);
    expect(hopperGemm.accepts(problem(), { ...limits, specificTarget: undefined })).toBe(false);
  });
});

describe('products on warp groups as machine code', () => {
  const all = { bias: 'bf16', residual: 'f32' } as const;
  const launch = (name: string, more: Partial<GemmProblem>) => ({
    name,
    launch: (target: string) =>
      target === 'sm_90a' ? hopperGemm.plan(problem(more), limits).launches.main : undefined,
  });
  const ofE4m3 = (name: string, more: Partial<GemmProblem>) => ({
    name,
    launch: (target: string) => {
      const each = problem({ weight: rows('e4m3'), allowsE4m3Rows: true, ...more });
      expect(hopperE4m3Gemm.accepts(each, limits)).toBe(true);
      return target === 'sm_90a' ? hopperE4m3Gemm.plan(each, limits).launches.main : undefined;
    },
  });
  itAssembles([
    ...[64, 128, 512, 4096].map((n) => ofE4m3(`${n} rows of e4m3`, { rows: n, columns: 3648 })),
    {
      name: 'rows become e4m3',
      launch: () =>
        hopperE4m3Gemm.plan(problem({ weight: rows('e4m3') }), limits).launches.quantize,
    },
    ...[64, 128, 512, 4096].map((n) => launch(`${n} rows`, { rows: n, columns: 3648 })),
    launch('bias and residual', { ...all, columns: 22_528 }),
    launch('64 rows of f32', { ...all, rows: 64, out: 'f32' }),
  ]);
});
