import type { Ops } from '../builder/kernel.ts';
import type { Value } from '../builder/value.ts';
import { elementwise, type GoldenCase, type Tolerance } from './case.ts';
import { as, data, floats, pairs, random } from './data.ts';

const family = 'float';
type F = Value<'f32'>;

/** f32 arithmetic, and the approximate functions with the error that PTX allows them. */
export function floatCases(): GoldenCase[] {
  const [a, b] = pairs(floats.filter((_, i) => i % 4 === 0 || i > 40));
  const edges = [data('f32', a), data('f32', b)] as const;
  const x = random('f32', 256, 1);
  const y = random('f32', 256, 2);
  const near = as('f32', near1(256, 5));
  const far = as('f32', near1(256, 6));
  const sum = as('f32', near1(256, 7));
  const all = data('f32', floats);
  const cases: GoldenCase[] = [];
  const binary = (name: string, f: (k: Ops, u: F, v: F) => F) => {
    cases.push(
      elementwise(family, name, edges, 'f32', (k, u, v) => f(k, u, v)),
      elementwise(family, `${name} random`, [x, y], 'f32', (k, u, v) => f(k, u, v)),
    );
  };
  binary('add.rn.f32', (_, u, v) => u.add(v));
  binary('sub.rn.f32', (_, u, v) => u.sub(v));
  binary('mul.rn.f32', (_, u, v) => u.mul(v));
  binary('add.rn.ftz.f32', (k, u, v) => k.fadd(u, v, { ftz: true }));
  binary('mul.rn.ftz.f32', (k, u, v) => k.fmul(u, v, { ftz: true }));
  binary('add.rn.sat.f32', (k, u, v) => k.fadd(u, v, { sat: true }));
  binary('min.f32', (_, u, v) => u.min(v));
  binary('max.f32', (_, u, v) => u.max(v));
  binary('min.NaN.f32', (k, u, v) => k.minNan(u, v));
  binary('max.NaN.f32', (k, u, v) => k.maxNan(u, v));
  binary('div.rn.f32', (k, u, v) => k.divRn(u, v));
  cases.push(
    elementwise(family, 'fma.rn.f32', [...edges, data('f32', rotated(a))], 'f32', (k, u, v, w) =>
      k.fma(u, v, w),
    ),
    elementwise(family, 'fma.rn.f32 random', [near, far, sum], 'f32', (k, u, v, w) =>
      k.fma(u, v, w.neg()),
    ),
    elementwise(family, 'fma.rn.f32 cancelling', [near, far], 'f32', (k, u, v) =>
      k.fma(u, v, u.mul(v).neg()),
    ),
    elementwise(family, 'sqrt.rn.f32', [x], 'f32', (k, u) => k.sqrtRn(u)),
    elementwise(family, 'rcp.rn.f32', [x], 'f32', (k, u) => k.rcpRn(u)),
  );
  const approximate = (name: string, tolerance: Tolerance, f: (k: Ops, u: F) => F, input = all) =>
    cases.push(elementwise(family, name, [input], 'f32', (k, u) => f(k, u), tolerance));
  const exponents = data('f32', [...range(-152, 130, 2.37), ...floats]);
  approximate('ex2.approx.f32', { kind: 'ulp', ulps: 3 }, (k, u) => k.ex2(u), exponents);
  approximate(
    'ex2.approx.ftz.f32',
    { kind: 'ulp', ulps: 3 },
    (k, u) => k.ex2(u, { ftz: true }),
    exponents,
  );
  const logarithm: Tolerance = { kind: 'close', absolute: 2 ** -21.9, relative: 2 ** -21.9 };
  const positive = data('f32', [...range(0.4, 2.2, 0.0137), ...floats]);
  approximate('lg2.approx.f32', logarithm, (k, u) => k.lg2(u), positive);
  approximate('lg2.approx.ftz.f32', logarithm, (k, u) => k.lg2(u, { ftz: true }), positive);
  for (const [label, input] of [
    ['', all],
    [' random', x],
  ] as const) {
    approximate(`rcp.approx.f32${label}`, { kind: 'ulp', ulps: 1 }, (k, u) => k.rcp(u), input);
    approximate(
      `rcp.approx.ftz.f32${label}`,
      { kind: 'ulp', ulps: 1 },
      (k, u) => k.rcp(u, { ftz: true }),
      input,
    );
    approximate(`rsqrt.approx.f32${label}`, { kind: 'ulp', ulps: 2 }, (k, u) => k.rsqrt(u), input);
    approximate(`sqrt.approx.f32${label}`, { kind: 'ulp', ulps: 2 }, (k, u) => k.sqrt(u), input);
    const coarse: Tolerance = { kind: 'close', absolute: 2 ** -126, relative: 2 ** -10.9 };
    approximate(`tanh.approx.f32${label}`, coarse, (k, u) => k.tanh(u), input);
  }
  cases.push(
    elementwise(family, 'div.full.f32', edges, 'f32', (k, u, v) => k.divFull(u, v), {
      kind: 'ulp',
      ulps: 2,
    }),
  );
  return cases;
}

/** Numbers of similar size with random fractions, so that sums and products lose digits. */
function near1(count: number, seed: number) {
  const bits = random('u32', count, seed);
  const words = new Uint32Array(bits.bytes.buffer);
  for (let i = 0; i < count; i++) words[i] = (words[i] & 0x81ffffff) + 0x3e000000;
  return bits;
}

const rotated = (values: readonly number[]): number[] => [
  ...values.slice(7),
  ...values.slice(0, 7),
];

function range(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) }, (_, i) => from + i * step);
}
