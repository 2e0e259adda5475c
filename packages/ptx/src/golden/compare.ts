import type { Ops } from '../builder/kernel.ts';
import type { Value } from '../builder/value.ts';
import type { Int } from '../ir/types.ts';
import { elementwise, type GoldenCase } from './case.ts';
import { data, fewInts, floats, longs, pairs } from './data.ts';

const family = 'compare';
const names = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const;

const relations = <T extends Int | 'f32'>(x: Value<T>, y: Value<T>): Value<'pred'>[] => [
  x.eq(y),
  x.ne(y),
  x.lt(y),
  x.le(y),
  x.gt(y),
  x.ge(y),
];

/** Comparisons of every type: bit i of the result is relation i. */
export function compareCases(): GoldenCase[] {
  const [a, b] = pairs(fewInts);
  const [p, q] = pairs(longs);
  const [f, g] = pairs(floats.filter((_, i) => i % 3 === 0 || i > 44));
  const bits = (k: Ops, list: readonly Value<'pred'>[]): Value<'u32'> =>
    list.map((p, i) => k.select(p, 1 << i, 0, 'u32')).reduce((sum, bit) => sum.or(bit));
  return [
    elementwise(family, 'setp.u32', [data('u32', a), data('u32', b)], 'u32', (k, x, y) =>
      bits(k, relations(x, y)),
    ),
    elementwise(family, 'setp.s32', [data('s32', a), data('s32', b)], 'u32', (k, x, y) =>
      bits(k, relations(x, y)),
    ),
    elementwise(family, 'setp.u64', [data('u64', p), data('u64', q)], 'u32', (k, x, y) =>
      bits(k, relations(x, y)),
    ),
    elementwise(family, 'setp.s64', [data('s64', p), data('s64', q)], 'u32', (k, x, y) =>
      bits(k, relations(x, y)),
    ),
    elementwise(family, 'setp.f32', [data('f32', f), data('f32', g)], 'u32', (k, x, y) =>
      bits(k, [...relations(x, y), x.isNan()]),
    ),
    elementwise(family, 'setp.f32 unordered', [data('f32', f), data('f32', g)], 'u32', (k, x, y) =>
      bits(
        k,
        names.map((is) => x.unordered(is, y)),
      ),
    ),
    elementwise(family, 'predicate logic', [data('u32', a), data('u32', b)], 'u32', (k, x, y) => {
      const less = x.lt(y);
      const odd = x.and(1).eq(1);
      return bits(k, [less.and(odd), less.or(odd), less.xor(odd), less.not()]);
    }),
  ];
}
