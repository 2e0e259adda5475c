/**
 * A number from 0 (included) to 1 (excluded), of 53 bits, that depends on a seed of two 32-bit halves and a
 * position alone. Philox 4x32-10 (Salmon et al., 2011), with the seed as its key and the position, a
 * non-negative integer, as its counter.
 */
export function philox(seedLow: number, seedHigh: number, position: number): number {
  let [c0, c1, c2, c3] = [position >>> 0, Math.floor(position / 2 ** 32) >>> 0, 0, 0];
  let [k0, k1] = [seedLow >>> 0, seedHigh >>> 0];
  for (let round = 0; round < 10; round++) {
    const [hi0, lo0] = multiply(0xd2511f53, c0);
    const [hi1, lo1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(hi1 ^ c1 ^ k0) >>> 0, lo1, (hi0 ^ c3 ^ k1) >>> 0, lo0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return ((c0 >>> 5) * 2 ** 26 + (c1 >>> 6)) / 2 ** 53;
}

/** The high and the low half of a product of two unsigned 32-bit numbers. */
function multiply(a: number, b: number): [high: number, low: number] {
  const [aHigh, aLow] = [a >>> 16, a & 0xffff];
  const [bHigh, bLow] = [b >>> 16, b & 0xffff];
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle & 0xffff);
  const high = aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(middle2 / 0x10000);
  return [high >>> 0, Math.imul(a, b) >>> 0];
}
