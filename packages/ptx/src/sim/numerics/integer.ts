// Integer operations that JavaScript lacks, on signed 32-bit inputs and results.

/** The high 32 bits of the unsigned product. */
export function mulHiU(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const middle = ah * bl + ((al * bl) >>> 16);
  const low = al * bh + (middle & 0xffff);
  return (ah * bh + (middle >>> 16) + (low >>> 16)) | 0;
}

/** The high 32 bits of the signed product. */
export function mulHiS(a: number, b: number): number {
  return (mulHiU(a, b) - (a < 0 ? b : 0) - (b < 0 ? a : 0)) | 0;
}

export function bfeU(a: number, position: number, length: number): number {
  const p = position & 255;
  const n = length & 255;
  if (n === 0 || p > 31) return 0;
  const shifted = a >>> p;
  return (n > 31 ? shifted : shifted & ((1 << n) - 1)) | 0;
}

export function bfeS(a: number, position: number, length: number): number {
  const p = position & 255;
  const n = length & 255;
  if (n === 0) return 0;
  if (p > 31) return a >> 31;
  const width = Math.min(n, 32 - p);
  const value = (a << (32 - p - width)) >> (32 - width);
  return value | 0;
}

export function bfi(a: number, b: number, position: number, length: number): number {
  const p = position & 255;
  const n = length & 255;
  if (n === 0 || p > 31) return b;
  const mask = (n > 31 ? -1 : (1 << n) - 1) << p;
  return (b & ~mask) | ((a << p) & mask);
}

export function popcount(a: number): number {
  let v = a - ((a >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

export function reverseBits(a: number): number {
  let v = ((a >>> 1) & 0x55555555) | ((a & 0x55555555) << 1);
  v = ((v >>> 2) & 0x33333333) | ((v & 0x33333333) << 2);
  v = ((v >>> 4) & 0x0f0f0f0f) | ((v & 0x0f0f0f0f) << 4);
  v = ((v >>> 8) & 0x00ff00ff) | ((v & 0x00ff00ff) << 8);
  return (v >>> 16) | (v << 16);
}

export function prmt(a: number, b: number, selector: number): number {
  let result = 0;
  for (let i = 0; i < 4; i++) {
    const nibble = (selector >>> (4 * i)) & 15;
    const source = nibble & 4 ? b : a;
    let byte = (source >>> ((nibble & 3) * 8)) & 0xff;
    if (nibble & 8) byte = byte & 0x80 ? 0xff : 0;
    result |= byte << (8 * i);
  }
  return result;
}

export function lop3(a: number, b: number, c: number, table: number): number {
  let result = 0;
  if (table & 0x01) result |= ~a & ~b & ~c;
  if (table & 0x02) result |= ~a & ~b & c;
  if (table & 0x04) result |= ~a & b & ~c;
  if (table & 0x08) result |= ~a & b & c;
  if (table & 0x10) result |= a & ~b & ~c;
  if (table & 0x20) result |= a & ~b & c;
  if (table & 0x40) result |= a & b & ~c;
  if (table & 0x80) result |= a & b & c;
  return result;
}

/** The 64-bit value of two halves, unsigned. */
export function bigU(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

/** The 64-bit value of two halves, signed. */
export function bigS(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo >>> 0);
}

/** a < b of unsigned 64-bit values. */
export function lessU64(aLo: number, aHi: number, bLo: number, bHi: number): boolean {
  return aHi === bHi ? aLo >>> 0 < bLo >>> 0 : aHi >>> 0 < bHi >>> 0;
}

/** a < b of signed 64-bit values. */
export function lessS64(aLo: number, aHi: number, bLo: number, bHi: number): boolean {
  return aHi === bHi ? aLo >>> 0 < bLo >>> 0 : aHi < bHi;
}

export function absBig(a: bigint): bigint {
  return a < 0n ? -a : a;
}
