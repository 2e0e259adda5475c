import type { Ops } from '../builder/kernel.ts';
import type { Value } from '../builder/value.ts';
import { elementwise, type GoldenCase } from './case.ts';
import { data, fewInts, ints, longs, pairs } from './data.ts';

const family = 'integer';

/** Integer arithmetic of all types on border cases. */
export function integerCases(): GoldenCase[] {
  const [a, b] = pairs(fewInts);
  const c = a.map((x, i) => (x ^ (b[i] << 3)) | 0);
  const [p, q] = pairs(longs);
  const r = p.map((x, i) => x ^ (q[i] << 5n));
  const nonzero = b.map((x) => (x === 0 ? 7 : x));
  const nonzeroLong = q.map((x) => (x === 0n ? 7n : x));
  const cases: GoldenCase[] = [];
  for (const type of ['u32', 's32'] as const) {
    const x = data(type, a);
    const y = data(type, b);
    const z = data(type, c);
    type V = Value<typeof type>;
    const binary = (name: string, f: (k: Ops, x: V, y: V) => V, second = y) =>
      cases.push(
        elementwise(family, `${name}.${type}`, [x, second], type, (k, u, v) => f(k, u, v)),
      );
    binary('add', (_, u, v) => u.add(v));
    binary('sub', (_, u, v) => u.sub(v));
    binary('mul.lo', (_, u, v) => u.mul(v));
    binary('mul.hi', (k, u, v) => k.mulHi(u, v));
    binary('min', (_, u, v) => u.min(v));
    binary('max', (_, u, v) => u.max(v));
    binary('div', (_, u, v) => u.div(v), data(type, nonzero));
    binary('rem', (_, u, v) => u.rem(v), data(type, nonzero));
    cases.push(
      elementwise(family, `mad.lo.${type}`, [x, y, z], type, (k, u, v, w) =>
        k.mad(u as V, v as V, w as V),
      ),
    );
  }
  for (const type of ['u64', 's64'] as const) {
    const x = data(type, p);
    const y = data(type, q);
    const z = data(type, r);
    type V = Value<typeof type>;
    const binary = (name: string, f: (k: Ops, x: V, y: V) => V, second = y) =>
      cases.push(
        elementwise(family, `${name}.${type}`, [x, second], type, (k, u, v) => f(k, u, v)),
      );
    binary('add', (_, u, v) => u.add(v));
    binary('sub', (_, u, v) => u.sub(v));
    binary('mul.lo', (_, u, v) => u.mul(v));
    binary('mul.hi', (k, u, v) => k.mulHi(u, v));
    binary('min', (_, u, v) => u.min(v));
    binary('max', (_, u, v) => u.max(v));
    binary('div', (_, u, v) => u.div(v), data(type, nonzeroLong));
    binary('rem', (_, u, v) => u.rem(v), data(type, nonzeroLong));
    cases.push(
      elementwise(family, `mad.lo.${type}`, [x, y, z], type, (k, u, v, w) =>
        k.mad(u as V, v as V, w as V),
      ),
    );
  }
  const uu = [data('u32', a), data('u32', b)] as const;
  const ss = [data('s32', a), data('s32', b)] as const;
  const long = a.map((x, i) => (BigInt(x) << 17n) ^ BigInt(b[i]));
  cases.push(
    elementwise(family, 'mul.wide.u32', uu, 'u64', (k, u, v) => k.mulWide(u, v)),
    elementwise(family, 'mul.wide.s32', ss, 's64', (k, u, v) => k.mulWide(u, v)),
    elementwise(family, 'mad.wide.u32', [...uu, data('u64', long)], 'u64', (k, u, v, w) =>
      k.madWide(u, v, w),
    ),
    elementwise(family, 'mad.wide.s32', [...ss, data('s64', long)], 's64', (k, u, v, w) =>
      k.madWide(u, v, w),
    ),
    elementwise(family, 'neg.s32', [data('s32', ints)], 's32', (_, u) => u.neg()),
    elementwise(family, 'abs.s32', [data('s32', ints)], 's32', (_, u) => u.abs()),
    elementwise(family, 'neg.s64', [data('s64', longs)], 's64', (_, u) => u.neg()),
    elementwise(family, 'abs.s64', [data('s64', longs)], 's64', (_, u) => u.abs()),
  );
  return cases;
}
