import { describe, expect, it } from 'vitest';
import { listing } from '../index.ts';
import { machine, needing, runKernel } from '../testing/execute.ts';
import { dotBf16 } from './dot_bf16.ts';

/** The f32 number with these upper bits. */
const fromBf16 = (bits: number): number => new Float32Array(Uint32Array.of(bits << 16).buffer)[0];

describe('dot_bf16', () => {
  const { skipped, note } = needing(dotBf16.features);

  it.skipIf(skipped)(`sums products${note}`, () => {
    for (const count of [0, 32, 64, 320]) {
      const x = Uint16Array.from({ length: count }, (_, i) => 0x3f80 + ((i * 37) % 200));
      const y = Uint16Array.from({ length: count }, (_, i) => 0xbf80 + ((i * 91) % 150));
      const out = new Float32Array(1);
      const [px, py, po] = [x, y, out].map((array) => machine().addressOf(array));
      runKernel(dotBf16, { x: px, y: py, out: po, count });
      const exact = x.reduce((sum, bits, i) => sum + fromBf16(bits) * fromBf16(y[i]), 0);
      expect(Math.abs(out[0] - exact)).toBeLessThanOrEqual(1e-6 * Math.abs(exact) * count);
    }
  });

  it('needs AVX2 and FMA only, and its listing names what registers hold', () => {
    const program = dotBf16.assemble('system-v');
    expect(program.features).toEqual(['avx', 'avx2', 'fma']);
    const text = listing(program);
    expect(text).toContain('; sums = ymm0 … ymm3');
    expect(text).toMatch(/^elements:\n.*vfmadd231ps ymm0, ymm4, ymm5\n.*jl elements$/ms);
  });
});
