import type { Ops } from '../builder/kernel.ts';
import type { Value } from '../builder/value.ts';
import { unpackPair } from '../library/packed.ts';
import { elementwise, type GoldenCase, type Tolerance } from './case.ts';
import { as, random, uniform } from './data.ts';

const family = 'half';

/** Arithmetic of f16 and bf16, alone and in pairs. */
export function halfCases(): GoldenCase[] {
  const cases: GoldenCase[] = [];
  for (const type of ['f16x2', 'bf16x2'] as const) {
    type V = Value<typeof type>;
    const scalar = type === 'f16x2' ? 'f16' : 'bf16';
    const sets = [
      ['', random(type, 192, 21), random(type, 192, 22), random(type, 192, 23)],
      [
        ' near',
        as(type, uniform(scalar, 256, 24)),
        as(type, uniform(scalar, 256, 25)),
        as(type, uniform(scalar, 256, 26)),
      ],
    ] as const;
    for (const [label, x, y, z] of sets) {
      const binary = (name: string, f: (k: Ops, u: V, v: V) => V) =>
        cases.push(
          elementwise(family, `${name}.${type}${label}`, [x, y], type, (k, u, v) => f(k, u, v)),
        );
      binary('add', (_, u, v) => u.add(v));
      binary('sub', (_, u, v) => u.sub(v));
      binary('mul', (_, u, v) => u.mul(v));
      binary('min', (_, u, v) => u.min(v));
      binary('max', (_, u, v) => u.max(v));
      binary('max.NaN', (k, u, v) => k.maxNan(u, v));
      cases.push(
        elementwise(family, `fma.${type}${label}`, [x, y, z], type, (k, u, v, w) =>
          k.fma(u as V, v as V, w as V),
        ),
      );
    }
    const exponents = as(type, uniform(scalar, 256, 32, 12));
    cases.push(
      elementwise(
        family,
        `ex2.${type}`,
        [exponents],
        'f32',
        (k, u) => {
          const [lo, hi] = unpackPair(k, k.ex2Packed(u as V));
          return k.fma(lo, 65536, hi.mul(0));
        },
        type === 'f16x2'
          ? { kind: 'close', absolute: 2 ** -8, relative: 2 ** -9.9 }
          : { kind: 'close', absolute: 2 ** -8, relative: 2 ** -7 },
      ),
    );
    const finite = as(type, uniform(scalar, 512, 27, 100));
    const tolerance: Tolerance = { kind: 'exact' };
    cases.push(
      elementwise(family, `neg.${type}`, [finite], type, (_, u) => (u as V).neg(), tolerance),
      elementwise(family, `abs.${type}`, [finite], type, (_, u) => (u as V).abs()),
    );
  }
  for (const op of ['add', 'sub', 'mul'] as const) {
    cases.push(
      elementwise(
        family,
        `${op}.bf16x2 on sm_80`,
        [random('bf16x2', 192, 33), random('bf16x2', 192, 34)],
        'bf16x2',
        (_, u, v) => u[op](v),
        { kind: 'exact' },
        'sm_80',
      ),
    );
  }
  const h = random('f16', 256, 28);
  const b = random('bf16', 256, 29);
  cases.push(
    elementwise(family, 'fma.f16', [h, random('f16', 256, 30)], 'f16', (k, u, v) => k.fma(u, v, u)),
    elementwise(family, 'fma.bf16', [b, random('bf16', 256, 31)], 'bf16', (k, u, v) =>
      k.fma(u, v, u),
    ),
    elementwise(family, 'add.f16', [h, random('f16', 256, 30)], 'f16', (_, u, v) => u.add(v)),
    elementwise(family, 'mul.bf16', [b, random('bf16', 256, 31)], 'bf16', (_, u, v) => u.mul(v)),
  );
  return cases;
}
