/** Scalar functions in float64 for what happens once per row. No lookup tables: static data would
 * be shared by all threads. */

export const LN2: f64 = 0.6931471805599453;
export const LOG2E: f64 = 1.4426950408889634;

/** log2 of a positive normal number, or of 0 (−inf), +inf, NaN. */
export function log2(x: f64): f64 {
  if (!(x > 0) || x == Infinity) return x == 0 ? -Infinity : x < 0 ? NaN : x;
  const bits = reinterpret<i64>(x);
  let exponent = <i32>(bits >> 52) - 1023;
  let mantissa = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    exponent++;
  }
  // log(m) = 2·atanh((m − 1) / (m + 1)); the quotient is below 0.172.
  const s = (mantissa - 1) / (mantissa + 1);
  const z = s * s;
  let series: f64 = 1.0 / 19.0;
  for (let k = 17; k > 0; k -= 2) series = series * z + 1.0 / <f64>k;
  return <f64>exponent + 2 * s * series * LOG2E;
}

/** 2^x; saturates to 0 and +inf. */
export function exp2(x: f64): f64 {
  if (x != x) return x;
  if (x >= 1024) return Infinity;
  if (x <= -1022) return 0;
  const n = nearest(x);
  const y = (x - n) * LN2;
  let series: f64 = 1;
  for (let k = 13; k > 0; k--) series = 1 + (series * y) / <f64>k;
  return series * reinterpret<f64>((<i64>n + 1023) << 52);
}
