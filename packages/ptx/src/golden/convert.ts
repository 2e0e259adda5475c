import { e4m3x4ToBf16x2, e4m3x4ToF16x2, e8m0ToF32, f32ToE4m3x2 } from '../library/fp8.ts';
import { unpackBf16x2 } from '../library/packed.ts';
import { elementwise, type GoldenCase, type Tolerance } from './case.ts';
import { as, data, floats, ints, longs, random } from './data.ts';

const family = 'convert';
const exact: Tolerance = { kind: 'exact' };

/** Conversions in every direction, on border cases and random bits. */
export function convertCases(): GoldenCase[] {
  const edges = data('f32', [
    ...floats,
    ...floats.map((x) => x * 1.0000001),
    ...floats.map((x) => -x / 3),
  ]);
  const bits = random('f32', 192, 41);
  const small = as(
    'f32',
    data(
      'f32',
      Array.from({ length: 192 }, (_, i) => (i - 96) * 0.0037 + i * i * 0.01),
    ),
  );
  const u = data('u32', ints);
  const s = data('s32', ints);
  const halves = data(
    'u16',
    Array.from({ length: 512 }, (_, i) => (i * 128 + (i % 128)) & 0xffff),
  );
  const codes = data(
    'u32',
    Array.from(
      { length: 128 },
      (_, i) => (i * 2) | ((i * 2 + 1) << 8) | ((255 - i) << 16) | (i << 24),
    ),
  );
  const cases: GoldenCase[] = [
    elementwise(family, 'cvt.rn.f32.u32', [u], 'f32', (k, x) => k.toF32(x)),
    elementwise(family, 'cvt.rn.f32.s32', [s], 'f32', (k, x) => k.toF32(x)),
    elementwise(family, 'cvt.rn.f32.u64', [data('u64', longs)], 'f32', (k, x) => k.toF32(x)),
    elementwise(family, 'cvt.rn.f32.s64', [data('s64', longs)], 'f32', (k, x) => k.toF32(x)),
    elementwise(family, 'cvt.u64.u32', [u], 'u64', (k, x) => k.widen(x)),
    elementwise(family, 'cvt.s64.s32', [s], 's64', (k, x) => k.widen(x)),
    elementwise(family, 'cvt.u32.u64', [data('u64', longs)], 'u32', (k, x) => k.narrow(x)),
    elementwise(family, 'cvt.f32.f16', [as('f16', halves)], 'f32', (k, x) => k.toF32(x)),
    elementwise(family, 'bf16 to f32', [as('bf16', halves)], 'f32', (k, x) => k.toF32(x)),
    elementwise(family, 'unpack bf16x2', [random('bf16x2', 256, 45)], 'f32', (k, x) => {
      const [lo, hi] = unpackBf16x2(k, x);
      return lo.add(hi);
    }),
  ];
  for (const [label, x] of [
    ['', edges],
    [' random', bits],
    [' small', small],
  ] as const) {
    for (const rounding of ['nearest', 'zero', 'down', 'up'] as const) {
      cases.push(
        elementwise(family, `cvt.s32.f32 ${rounding}${label}`, [x], 's32', (k, f) =>
          k.toS32(f, rounding),
        ),
        elementwise(family, `cvt.u32.f32 ${rounding}${label}`, [x], 'u32', (k, f) =>
          k.toU32(f, rounding),
        ),
        elementwise(family, `cvt.f32.f32 ${rounding}${label}`, [x], 'f32', (k, f) =>
          k.round(f, rounding),
        ),
      );
    }
    cases.push(
      elementwise(family, `cvt.rn.f16.f32${label}`, [x], 'f16', (k, f) => k.toF16(f)),
      elementwise(family, `cvt.rn.bf16.f32${label}`, [x], 'bf16', (k, f) => k.toBf16(f)),
      elementwise(family, `cvt.rn.f16x2.f32${label}`, [x], 'f16x2', (k, f) =>
        k.packF16x2(f, f.neg()),
      ),
      elementwise(family, `cvt.rn.bf16x2.f32${label}`, [x], 'bf16x2', (k, f) =>
        k.packBf16x2(f, f.mul(3)),
      ),
      elementwise(family, `cvt.rn.relu.bf16x2.f32${label}`, [x], 'bf16x2', (k, f) =>
        k.packBf16x2(f, f.mul(-3), { relu: true }),
      ),
      elementwise(family, `cvt.e4m3x2.f32${label}`, [x], 'e4m3x2', (k, f) =>
        k.cvtE4m3x2(f, f.mul(-0.3)),
      ),
      elementwise(family, `f32ToE4m3x2${label}`, [x], 'e4m3x2', (k, f) =>
        f32ToE4m3x2(k, f, f.mul(5)),
      ),
      elementwise(family, `cvt.e4m3x2.f16x2${label}`, [as('f16x2', x)], 'e4m3x2', (k, h) =>
        k.cvtE4m3x2FromF16x2(h),
      ),
    );
  }
  cases.push(
    elementwise(family, 'cvt.f16x2.e4m3x2', [as('e4m3x2', codes)], 'f16x2', (k, e) =>
      k.cvtE4m3x2ToF16x2(e),
    ),
    elementwise(family, 'e4m3x4ToF16x2', [as('e4m3x4', codes)], 'b64', (k, e) => {
      const [lo, hi] = e4m3x4ToF16x2(k, e);
      return k.join64(lo.as('b32'), hi.as('b32'));
    }),
    elementwise(
      family,
      'e4m3x4ToF16x2 on sm_80',
      [as('e4m3x4', codes)],
      'b64',
      (k, e) => {
        const [lo, hi] = e4m3x4ToF16x2(k, e, { nan: true });
        return k.join64(lo.as('b32'), hi.as('b32'));
      },
      exact,
      'sm_80',
    ),
    elementwise(
      family,
      'f32ToE4m3x2 on sm_80',
      [edges],
      'e4m3x2',
      (k, f) => f32ToE4m3x2(k, f, f.mul(5)),
      exact,
      'sm_80',
    ),
    elementwise(family, 'e4m3x4ToBf16x2', [as('e4m3x4', codes)], 'b64', (k, e) => {
      const [lo, hi] = e4m3x4ToBf16x2(k, e, { nan: true });
      return k.join64(lo.as('b32'), hi.as('b32'));
    }),
    elementwise(
      family,
      'e8m0ToF32',
      [
        data(
          'u8',
          Array.from({ length: 256 }, (_, i) => i),
        ),
      ],
      'f32',
      (k, e) => e8m0ToF32(k, e),
    ),
  );
  return cases;
}
