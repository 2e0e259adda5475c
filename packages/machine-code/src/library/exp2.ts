import type { KernelBuilder } from '../builder/kernel.ts';
import { KernelError } from '../errors.ts';
import type { Ymm, Zmm } from '../registers/vector.ts';

/**
 * Coefficients c1 … cn of 2^f ≈ 1 + c1·f + … + cn·f^n for f from −½ to ½: the polynomial that meets
 * (2^f − 1) / f at Chebyshev's nodes. 2^0 is exactly 1.
 * @throws KernelError for a degree that is no integer from 2 to 8.
 */
export function exp2Coefficients(degree: number): number[] {
  if (![2, 3, 4, 5, 6, 7, 8].includes(degree)) {
    throw new KernelError({
      subject: 'degree of the polynomial for 2^f',
      expected: 'an integer from 2 to 8',
      actual: String(degree),
      remedy: 'Take 5 for what f32 can hold, 3 where bf16 is rounded to afterwards.',
    });
  }
  const nodes = Array.from(
    { length: degree },
    (_, i) => 0.5 * Math.cos((Math.PI * (2 * i + 1)) / (2 * degree)),
  );
  const values = nodes.map((f) => (f === 0 ? Math.LN2 : Math.expm1(f * Math.LN2) / f));
  // Newton's divided differences, then the polynomial multiplied out.
  for (let order = 1; order < degree; order++) {
    for (let i = degree - 1; i >= order; i--) {
      values[i] = (values[i] - values[i - 1]) / (nodes[i] - nodes[i - order]);
    }
  }
  let polynomial: number[] = [];
  for (let i = degree - 1; i >= 0; i--) {
    const shifted = [0, ...polynomial];
    polynomial = shifted.map((c, j) => c - nodes[i] * (polynomial[j] ?? 0));
    polynomial[0] += values[i];
  }
  return polynomial;
}

/** Rounding to the nearest integer, ties to even, without raising the inexact flag. */
const toNearest = 8;

/**
 * x = 2^x for each lane, in place: relative error below 4e-7 with degree 5, 8e-6 with 4,
 * 2.1e-4 with 3.
 * −∞ gives 0, NaN stays. Needs `avx512dq`; takes two registers.
 */
export function exp2Zmm(k: KernelBuilder, x: Zmm, degree = 5): void {
  const coefficients = exp2Coefficients(degree);
  k.scope(() => {
    const [fraction, power] = k.zmms('exp2', 2);
    k.vreduceps(fraction, x, toNearest);
    k.vrndscaleps(x, x, toNearest);
    k.vbroadcastss(power, k.constant.f32(coefficients[degree - 1]));
    for (const c of [...coefficients.slice(0, -1).reverse(), 1]) {
      k.vfmadd213ps(power, fraction, k.constant.f32(c).broadcast());
    }
    k.vscalefps(x, power, x);
  });
}

/**
 * x = 2^x for each lane, in place, with AVX2 and FMA; errors as {@link exp2Zmm}. Results below 2^-126
 * become 0, x of 127.5 and more gives ∞, NaN stays. Takes three registers.
 */
export function exp2Ymm(k: KernelBuilder, x: Ymm, degree = 5): void {
  const coefficients = exp2Coefficients(degree);
  const all = (value: number) => k.constant.f32(new Array<number>(8).fill(value));
  k.scope(() => {
    const [limit, fraction, power] = k.ymms('exp2', 3);
    // Of a NaN and a number, minimum and maximum give the second operand: x.
    k.vmovaps(limit, all(-127));
    k.vmaxps(x, limit, x);
    k.vmovaps(limit, all(128));
    k.vminps(x, limit, x);
    const whole = limit;
    k.vroundps(whole, x, toNearest);
    k.vsubps(fraction, x, whole);
    k.vmovaps(power, all(coefficients[degree - 1]));
    for (const c of [...coefficients.slice(0, -1).reverse(), 1]) {
      k.vfmadd213ps(power, fraction, all(c));
    }
    // The factor 2^n, by its exponent: that of −127 is 0, that of 128 is ∞.
    k.vcvtps2dq(whole, whole);
    k.vpaddd(whole, whole, k.constant.u32(new Array<number>(8).fill(127)));
    k.vpslld(whole, whole, 23);
    k.vmulps(x, power, whole);
  });
}
