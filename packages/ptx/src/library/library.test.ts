import { describe, expect, it } from 'vitest';
import {
  defineKernel,
  e4m3x4ToBf16x2,
  e4m3x4ToF16x2,
  e8m0ToF32,
  f32ToE4m3x2,
  global,
  packPair,
  SimMemory,
  simulate,
  unpackPair,
} from '../index.ts';
import { e4m3Value, fromBf16, fromF16, toE4m3 } from '../sim/numerics/float.ts';

const codes = Uint8Array.from({ length: 256 }, (_, i) => i);

/** Decodes all 256 codes on an architecture. */
function decode(target: string, as: 'f16' | 'bf16', nan: boolean): number[] {
  const kernel = defineKernel(
    { name: 'decode', params: { x: global('e4m3x4'), out: global('b32') }, block: [64] },
    (k, { x, out }) => {
      const v = x.at(k.threadIdx.x).load();
      const [lo, hi] = as === 'f16' ? e4m3x4ToF16x2(k, v, { nan }) : e4m3x4ToBf16x2(k, v, { nan });
      out.at(k.threadIdx.x.shl(1)).storeVec([lo.as('b32'), hi.as('b32')]);
    },
  );
  const memory = new SimMemory();
  const [x, out] = [memory.allocFrom(codes), memory.alloc(512)];
  simulate(kernel, { grid: [1], memory, target, params: { x, out } });
  const halves = new Uint16Array(memory.read(out, 512).buffer);
  return [...halves].map(as === 'f16' ? fromF16 : fromBf16);
}

describe('e4m3 in software', () => {
  for (const [target, as] of [
    ['sm_80', 'f16'],
    ['sm_90a', 'f16'],
    ['sm_80', 'bf16'],
    ['sm_90a', 'bf16'],
  ] as const) {
    it(`decodes every code to ${as} on ${target}`, () => {
      expect(decode(target, as, true)).toEqual([...codes].map(e4m3Value));
    });
  }

  it('decodes NaN codes as ±480 when asked for speed only', () => {
    expect(decode('sm_80', 'f16', false)[0x7f]).toBe(480);
    expect(decode('sm_80', 'bf16', false)[0xff]).toBe(-480);
  });

  it('encodes as the hardware does', () => {
    const values = Float32Array.from({ length: 4096 }, (_, i) =>
      i < 1024
        ? (i - 512) / 1000
        : i < 2048
          ? (i - 1500) * 1.1
          : 2 ** ((i - 3000) / 64) * (i & 1 ? -1 : 1),
    );
    values.set([
      0,
      -0,
      Number.NaN,
      Infinity,
      -Infinity,
      448,
      464,
      465,
      2 ** -10,
      1.5 * 2 ** -9,
      1e-40,
    ]);
    const kernel = defineKernel(
      { name: 'encode', params: { x: global('f32'), out: global('e4m3x2') }, block: [256] },
      (k, { x, out }) => {
        const i = k.mad(k.blockIdx.x, 256, k.threadIdx.x);
        const [lo, hi] = x.at(i.shl(1)).loadVec(2);
        out.at(i).store(f32ToE4m3x2(k, lo, hi));
      },
    );
    for (const target of ['sm_80', 'sm_89']) {
      const memory = new SimMemory();
      const [x, out] = [memory.allocFrom(values), memory.alloc(values.length)];
      simulate(kernel, { grid: [8], memory, target, params: { x, out } });
      const got = [...memory.read(out, values.length)].map((code) =>
        (code & 0x7f) === 0x7f ? 0x7f : code,
      );
      expect(got, target).toEqual([...values].map(toE4m3));
    }
  });

  it('takes powers of two from e8m0', () => {
    const kernel = defineKernel(
      { name: 'scales', params: { x: global('u8'), out: global('f32') }, block: [256] },
      (k, { x, out }) => out.at(k.threadIdx.x).store(e8m0ToF32(k, x.at(k.threadIdx.x).load())),
    );
    const memory = new SimMemory();
    const [x, out] = [memory.allocFrom(codes), memory.alloc(1024)];
    simulate(kernel, { grid: [1], memory, params: { x, out } });
    const scales = new Float32Array(memory.read(out, 1024).buffer);
    for (let e = 0; e < 255; e++) expect(scales[e]).toBe(2 ** (e - 127));
    expect(scales[255]).toBe(Infinity);
  });
});

describe('pairs', () => {
  it('survive packing and unpacking on every architecture', () => {
    for (const type of ['f16', 'bf16'] as const) {
      const kernel = defineKernel(
        { name: 'pairs', params: { out: global('f32') }, block: [32] },
        (k, { out }) => {
          const x = k.toF32(k.laneId);
          const pair = packPair(k, type, x, x.neg());
          const [lo, hi] = unpackPair(k, pair.add(pair).sub(pair).mul(k.splat(pair.type, 2)));
          out.at(k.laneId.shl(1)).storeVec([lo, hi]);
        },
      );
      for (const target of ['sm_80', 'sm_90']) {
        const memory = new SimMemory();
        const out = memory.alloc(256);
        simulate(kernel, { grid: [1], memory, target, params: { out } });
        const got = new Float32Array(memory.read(out, 256).buffer);
        expect([got[6], got[7], got[1]]).toEqual([6, -6, 0]);
      }
    }
  });
});
