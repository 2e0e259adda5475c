/**
 * A number from 0 (included) to 1 (excluded) of 53 bits, by Philox 4×32-10 with `seed` as its key and
 * `position` as its counter.
 */
export function randomAt(seed: bigint, position: number): number {
  let counter = [position >>> 0, 0, 0, 0] as [number, number, number, number];
  let key0 = Number(BigInt.asUintN(32, seed));
  let key1 = Number(BigInt.asUintN(32, seed >> 32n));
  for (let round = 0; round < 10; round++) {
    const [c0, c1, c2, c3] = counter;
    const first = 0xd2511f53n * BigInt(c0);
    const second = 0xcd9e8d57n * BigInt(c2);
    counter = [
      (Number(second >> 32n) ^ c1 ^ key0) >>> 0,
      Number(BigInt.asUintN(32, second)),
      (Number(first >> 32n) ^ c3 ^ key1) >>> 0,
      Number(BigInt.asUintN(32, first)),
    ];
    key0 = (key0 + 0x9e3779b9) >>> 0;
    key1 = (key1 + 0xbb67ae85) >>> 0;
  }
  return ((counter[0] >>> 5) * 2 ** 26 + (counter[1] >>> 6)) / 2 ** 53;
}
