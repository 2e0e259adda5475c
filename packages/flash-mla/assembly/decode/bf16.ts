/**
 * bfloat16 → float32: the code is the upper half. The shuffles interleave with zeros in the one order
 * that engines recognise as a single instruction.
 */

// @ts-ignore: decorator
@inline
export function low(codes: v128): v128 {
  return i8x16.shuffle(i64x2.splat(0), codes, 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
}

// @ts-ignore: decorator
@inline
export function high(codes: v128): v128 {
  return i8x16.shuffle(i64x2.splat(0), codes, 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
}

/** Decodes `count` elements. */
export function decodeBf16(target: usize, source: usize, count: i32): void {
  const end = source + (<usize>count << 1);
  const bulk = source + (<usize>(count & ~15) << 1);
  while (source < bulk) {
    const a = v128.load(source);
    const b = v128.load(source, 16);
    v128.store(target, low(a));
    v128.store(target, high(a), 16);
    v128.store(target, low(b), 32);
    v128.store(target, high(b), 48);
    source += 32;
    target += 64;
  }
  while (source < end) {
    store<u32>(target, <u32>load<u16>(source) << 16);
    source += 2;
    target += 4;
  }
}
