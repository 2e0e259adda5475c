import type { KernelBuilder } from '../builder/kernel.ts';
import { KernelError } from '../errors.ts';
import type { Zmm } from '../registers/vector.ts';

/**
 * Transposes 16 × 16 elements of 32 bits in place: element j of row i becomes element i of row j. Takes
 * 16 more registers, so `rows` and they are all there are. 64 shuffles.
 * @throws KernelError for another number of rows.
 */
export function transpose16(k: KernelBuilder, rows: readonly Zmm[]): void {
  if (rows.length !== 16) {
    throw new KernelError({
      subject: 'transposition',
      expected: '16 rows',
      actual: String(rows.length),
      remedy: 'Give registers for all rows.',
    });
  }
  k.scope(() => {
    const other = k.zmms('transposed', 16);
    // Pairs of rows: elements of 32 bits.
    for (let i = 0; i < 16; i += 2) {
      k.vpunpckldq(other[i], rows[i], rows[i + 1]);
      k.vpunpckhdq(other[i + 1], rows[i], rows[i + 1]);
    }
    // Fours of rows: pairs of 64 bits. Row 4·a + c then holds column c of each 128-bit lane.
    for (let i = 0; i < 16; i += 4) {
      for (const half of [0, 1]) {
        k.vpunpcklqdq(rows[i + 2 * half], other[i + half], other[i + half + 2]);
        k.vpunpckhqdq(rows[i + 2 * half + 1], other[i + half], other[i + half + 2]);
      }
    }
    // 4 × 4 blocks of 128 bits, in two steps: even lanes, then odd ones.
    const [even, odd] = [0x88, 0xdd];
    for (let i = 0; i < 16; i += 8) {
      for (let c = 0; c < 4; c++) {
        k.vshufi32x4(other[i + c], rows[i + c], rows[i + c + 4], even);
        k.vshufi32x4(other[i + c + 4], rows[i + c], rows[i + c + 4], odd);
      }
    }
    for (let c = 0; c < 8; c++) {
      k.vshufi32x4(rows[c], other[c], other[c + 8], even);
      k.vshufi32x4(rows[c + 8], other[c], other[c + 8], odd);
    }
  });
}
