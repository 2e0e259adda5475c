import { describe, expect, it } from 'vitest';
import { listing } from '../index.ts';
import { abi, missing, native } from '../testing/execute.ts';
import { dotBf16 } from './dot_bf16.ts';

/** The f32 number with these upper bits. */
const fromBf16 = (bits: number): number => new Float32Array(Uint32Array.of(bits << 16).buffer)[0];

describe('dot_bf16', () => {
  const reason = missing(dotBf16.features);

  it(`sums products${reason === undefined ? '' : ` (not run: ${reason})`}`, () => {
    const program = dotBf16.assemble(abi);
    expect(program.features).toEqual(['avx', 'avx2', 'fma']);
    if (native === undefined || reason !== undefined) return;
    const run = native.load(program);
    for (const count of [0, 32, 64, 320]) {
      const x = Uint16Array.from({ length: count }, (_, i) => 0x3f80 + ((i * 37) % 200));
      const y = Uint16Array.from({ length: count }, (_, i) => 0xbf80 + ((i * 91) % 150));
      const out = new Float32Array(1);
      const [px, py, po] = [x, y, out].map((array) => native?.addressOf(array) ?? 0n);
      const job = dotBf16.packJob({ x: px, y: py, out: po, count });
      run(native.addressOf(job));
      const exact = x.reduce((sum, bits, i) => sum + fromBf16(bits) * fromBf16(y[i]), 0);
      expect(Math.abs(out[0] - exact)).toBeLessThanOrEqual(1e-6 * Math.abs(exact) * count);
    }
  });

  it('reads like what it does', () => {
    expect(listing(dotBf16.assemble('system-v'))).toContain('vfmadd231ps ymm0, ymm4, ymm5');
  });
});
