import { describe, expect, it } from 'vitest';
import {
  defineKernel,
  exp2Coefficients,
  exp2Ymm,
  exp2Zmm,
  type Feature,
  type KernelBuilder,
  KernelError,
  loadBf16,
  loadE4m3Ymm,
  loadE4m3Zmm,
  loadF16,
  type Memory,
  maxOfLanes,
  roundToBf16,
  storeBf16,
  storeE4m3,
  sumOfLanes,
  transpose16,
} from '../index.ts';
import { machine, needing, runKernel } from '../testing/execute.ts';

function executing(name: string, features: readonly Feature[], test: () => void): void {
  const { skipped, note } = needing(features);
  it.skipIf(skipped)(`${name}${note}`, test);
}

/** Runs code that reads `x` and writes `out`. */
function run<T extends ArrayBufferView>(
  features: readonly Feature[],
  x: ArrayBufferView,
  out: T,
  body: (k: KernelBuilder, x: Memory<'gpr64'>, out: Memory<'gpr64'>) => void,
): T {
  const job = { x: 'pointer', out: 'pointer' } as const;
  const kernel = defineKernel({ name: 'library', features, job }, (k, inputs) =>
    body(k, k.gpr('x', inputs.x).at(), k.gpr('out', inputs.out).at()),
  );
  const { addressOf } = machine();
  runKernel(kernel, { x: addressOf(x), out: addressOf(out) });
  return out;
}

const bitsOf = (x: number) => new Uint32Array(Float32Array.of(x).buffer)[0];
const floatOf = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0];
const avx2: Feature[] = ['avx2', 'fma', 'f16c'];
const avx512: Feature[] = ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl'];

/** Calls the kernel for each piece of `n` numbers. */
const pieces = (count: number, n: number, f: (at: number) => void) => {
  for (let at = 0; at < count; at += n) f(at);
};

describe.each([
  ['zmm', avx512, 16],
  ['ymm', avx2, 8],
] as const)('exp2 of %s registers', (kind, features, lanes) => {
  const exp2 = (x: Float32Array, degree = 5) =>
    run(features, x, new Float32Array(lanes), (k, from, to) => {
      if (kind === 'zmm') {
        const v = k.zmm('v');
        k.vmovups(v, from);
        exp2Zmm(k, v, degree);
        k.vmovups(to, v);
      } else {
        const v = k.ymm('v');
        k.vmovups(v, from);
        exp2Ymm(k, v, degree);
        k.vmovups(to, v);
      }
    });

  executing('stays within its bounds for each degree', features, () => {
    for (const [degree, bound] of [
      [3, 2.1e-4],
      [4, 8e-6],
      [5, 4e-7],
    ]) {
      let worst = 0;
      pieces(40, 1, (round) => {
        const x = Float32Array.from(
          { length: lanes },
          (_, i) => -60 + (round * lanes + i) * 0.1371,
        );
        const got = exp2(x, degree);
        for (const [i, v] of x.entries()) worst = Math.max(worst, Math.abs(got[i] / 2 ** v - 1));
      });
      expect(worst).toBeLessThan(bound);
    }
  });

  executing('knows whole numbers, infinity and NaN', features, () => {
    const x = new Float32Array(lanes);
    x.set([0, 1, -1, 10, Number.NEGATIVE_INFINITY, Number.NaN, -126, 127]);
    const want = [1, 2, 0.5, 1024, 0, Number.NaN, 2 ** -126, 2 ** 127];
    expect([...exp2(x)].slice(0, 8)).toEqual(want);
    expect(exp2(x.fill(Number.POSITIVE_INFINITY))[0]).toBe(Number.POSITIVE_INFINITY);
    expect(exp2(x.fill(-1000))[0]).toBe(0);
  });
});

describe('lanes', () => {
  executing('sums and maxima of zmm registers, also of those from 16 up', avx512, () => {
    const x = Float32Array.from({ length: 48 }, (_, i) => ((i * 29) % 47) - 11);
    const out = run(avx512, x, new Float32Array(2), (k, from, to) => {
      const low = k.zmms('low', 16);
      k.free(...low.slice(0, 1));
      for (const [i, combine] of [sumOfLanes, maxOfLanes].entries()) {
        k.scope(() => {
          const vectors = k.zmms('vectors', 3);
          for (const [j, v] of vectors.entries()) k.vmovups(v, from.plus(64 * j));
          k.vmovss(to.plus(4 * i), combine(k, vectors));
        });
      }
    });
    expect([...out]).toEqual([x.reduce((a, b) => a + b), Math.max(...x)]);
  });

  executing('sums of ymm registers', avx2, () => {
    const x = Float32Array.from({ length: 40 }, (_, i) => i * i);
    const out = run(avx2, x, new Float32Array(1), (k, from, to) => {
      const vectors = k.ymms('vectors', 5);
      for (const [j, v] of vectors.entries()) k.vmovups(v, from.plus(32 * j));
      k.vmovss(to, sumOfLanes(k, vectors));
    });
    expect(out[0]).toBe(x.reduce((a, b) => a + b));
  });

  executing('a transposition of 16 × 16', avx512, () => {
    const x = Uint32Array.from({ length: 256 }, (_, i) => i * 0x01010101);
    const out = run(avx512, x, new Uint32Array(256), (k, from, to) => {
      const rows = k.zmms('rows', 16);
      for (const [i, row] of rows.entries()) k.vmovdqu32(row, from.plus(64 * i));
      transpose16(k, rows);
      for (const [i, row] of rows.entries()) k.vmovdqu32(to.plus(64 * i), row);
    });
    expect(out).toEqual(Uint32Array.from(x, (_, i) => x[(i % 16) * 16 + (i >> 4)]));
  });

  it('refuses polynomials of other degrees', () => {
    expect(() => exp2Coefficients(1)).toThrow(KernelError);
  });

  it('are refused in another number', () => {
    const kernel = defineKernel({ name: 'three', features: ['avx512f'] }, (k) =>
      transpose16(k, k.zmms('rows', 3)),
    );
    expect(() => kernel.assemble('system-v')).toThrow(KernelError);
  });
});

/** The value of an e4m3 byte, by its definition. */
function e4m3(byte: number): number {
  const [sign, exponent, fraction] = [byte >> 7 ? -1 : 1, (byte >> 3) & 15, byte & 7];
  if ((byte & 0x7f) === 0x7f) return Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10));
}

describe.each([
  ['zmm', avx512, 16],
  ['ymm', avx2, 8],
] as const)('number formats in %s registers', (kind, features, lanes) => {
  const load = (
    x: ArrayBufferView,
    wide: (k: KernelBuilder, to: ReturnType<KernelBuilder['zmm']>, from: Memory<'gpr64'>) => void,
    narrow: (k: KernelBuilder, to: ReturnType<KernelBuilder['ymm']>, from: Memory<'gpr64'>) => void,
  ) =>
    run(features, x, new Float32Array(lanes), (k, from, to) => {
      if (kind === 'zmm') {
        const v = k.zmm('v');
        wide(k, v, from);
        k.vmovups(to, v);
      } else {
        const v = k.ymm('v');
        narrow(k, v, from);
        k.vmovups(to, v);
      }
    });

  executing('e4m3: all 256 bytes', features, () => {
    pieces(256, lanes, (at) => {
      const bytes = Uint8Array.from({ length: 16 }, (_, i) => at + i);
      const got = load(bytes, loadE4m3Zmm, loadE4m3Ymm);
      expect([...got]).toEqual([...bytes.subarray(0, lanes)].map(e4m3));
    });
  });

  executing('bf16 and f16', features, () => {
    const bf16 = Uint16Array.from({ length: 16 }, (_, i) => i * 0x0f35);
    const wide = [...bf16].map((bits) => floatOf(bits << 16)).slice(0, lanes);
    expect([...load(bf16, loadBf16, loadBf16)]).toEqual(wide);
    // 1, −2, the least denormal number, infinity
    const f16 = new Uint16Array(16);
    f16.set([0x3c00, 0xc000, 0x0001, 0x7c00]);
    const got = [...load(f16, loadF16, loadF16)].slice(0, 4);
    expect(got).toEqual([1, -2, 2 ** -24, Number.POSITIVE_INFINITY]);
  });
});

describe('rounding to bf16', () => {
  executing('goes to nearest, ties to even, and keeps NaN', ['avx512f'], () => {
    const x = Uint32Array.of(
      ...[0, 1, -2.5, 1e-40, 3.4e38, Number.NaN, Number.POSITIVE_INFINITY, 0.1].map(bitsOf),
      ...[0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f800001, 0xffffffff, 0x80000000, 7],
    );
    const out = run(['avx512f', 'avx512vl'], x, new Uint16Array(16), (k, from, to) => {
      const v = k.zmm('v');
      const rounded = k.ymm('rounded');
      k.vmovdqu32(v, from);
      roundToBf16(k, rounded, v);
      k.vmovdqu(to, rounded);
    });
    const want = [...x].map((bits) => {
      if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
      return Math.floor((bits + 0x7fff + ((bits >>> 16) & 1)) / 0x10000);
    });
    expect([...out]).toEqual(want);
  });
});

describe.each([
  ['zmm', avx512, 16],
  ['ymm', avx2, 8],
] as const)('storing what %s registers hold', (kind, features, lanes) => {
  const store = <T extends ArrayBufferView>(x: Float32Array, out: T, save: typeof storeBf16) =>
    run(features, x, out, (k, from, to) => {
      const v = kind === 'zmm' ? k.zmm('v') : k.ymm('v');
      if (v.kind === 'zmm') k.vmovups(v, from);
      else k.vmovups(v, from);
      save(k, to, v);
    });

  executing('as e4m3: each number goes to the nearest code, of two the even one', features, () => {
    const numbers = Array.from({ length: 127 }, (_, code) => e4m3(code));
    // Every number, what lies between two of them, and a little to either side of that.
    const problems = numbers.flatMap((low, code): [number, number][] => {
      const high = numbers[code + 1];
      if (high === undefined) return [[low, code]];
      const middle = (low + high) / 2;
      return [
        [low, code],
        [middle, code % 2 === 0 ? code : code + 1],
        [middle * (1 - 2 ** -20), code],
        [middle * (1 + 2 ** -20), code + 1],
      ];
    });
    const signed = problems.flatMap(([x, code]) => [
      [x, code],
      [-x, code | 0x80],
    ]);
    const special = [
      [1e30, 0x7e],
      [Number.NEGATIVE_INFINITY, 0xfe],
      [Number.NaN, 0x7f],
      [1e-40, 0],
    ];
    const all = [...signed, ...special];
    pieces(all.length, lanes, (at) => {
      const some = all.slice(at, at + lanes);
      const x = Float32Array.from({ length: lanes }, (_, i) => some[i]?.[0] ?? 0);
      const codes = store(x, new Uint8Array(lanes), storeE4m3);
      expect([...codes].slice(0, some.length)).toEqual(some.map(([, code]) => code));
    });
  });

  executing('as bf16: to nearest, ties to even, and NaN stays', features, () => {
    const bits = [
      0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f800001, 0xff800000, 7, 0x80000000,
    ];
    const x = new Float32Array(lanes);
    new Uint32Array(x.buffer).set(bits);
    const want = [0x3f80, 0x3f82, 0x3f80, 0x3f81, 0x7fc0, 0xff80, 0, 0x8000];
    expect([...store(x, new Uint16Array(lanes), storeBf16)].slice(0, 8)).toEqual(want);
  });
});
