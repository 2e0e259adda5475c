import { describe, expect, it } from 'vitest';
import { encodeTensorMap, SimMemory, SimulationError, simulate } from '../index.ts';
import { type RingMistake, ringKernel, ringMistakes, ringShape } from '../testing/ring.ts';
import { bf16Bits, bf16Value } from './numerics/half.ts';

const { rows, columns } = ringShape;
const tiles = 5;
/** One row less than whole tiles: the last is filled up with zeros. */
const height = tiles * rows - 1;
const x = Uint16Array.from({ length: height * columns }, (_, i) => bf16Bits(((i * 37) % 101) / 8));

/** What the kernel computes, by its definition. */
function expected(): Float32Array {
  const out = new Float32Array(2 * rows * columns);
  for (let cta = 0; cta < 2; cta++) {
    for (let i = 0; i < height * columns; i++) {
      out[cta * rows * columns + (i % (rows * columns))] += bf16Value(x[i]) * (cta + 1);
    }
  }
  const sums = Array.from({ length: 2 * rows * 2 }, (_, i) =>
    out.subarray(i * 32, i * 32 + 32).reduce((a, b) => a + b, 0),
  );
  for (let i = 0; i < sums.length; i++) {
    out[i * 32] += sums[(i + rows * 2) % sums.length];
  }
  return out;
}

/** Runs the kernel; gives the largest error of its result. */
function errorOf(mistake?: RingMistake, deliverySeed?: number): number {
  const memory = new SimMemory();
  const address = memory.allocFrom(x);
  const out = memory.alloc(2 * rows * columns * 4);
  simulate(ringKernel(mistake), {
    grid: [2],
    memory,
    params: {
      x: encodeTensorMap({
        element: 'bf16',
        address,
        dims: [columns, height],
        strides: [columns * 2],
        box: [columns, rows / 2],
        swizzle: '128B',
      }),
      out: encodeTensorMap({
        element: 'f32',
        address: out,
        dims: [columns, 2 * rows],
        strides: [columns * 4],
        box: [columns, rows],
      }),
      tiles,
    },
    ...(deliverySeed === undefined ? {} : { deliverySeed }),
  });
  const got = new Float32Array(memory.read(out, 2 * rows * columns * 4).buffer);
  return expected().reduce((worst, want, i) => Math.max(worst, Math.abs(want - got[i])), 0);
}

/** What finds each mistake: the simulator's complaint, or the comparison of the result. */
const verdicts: Record<RingMistake, SimulationError['kind'] | 'wrong result'> = {
  'bytes of a stage announced too low': 'deadlock',
  'bytes of a stage announced too high': 'deadlock',
  'bytes never announced': 'pending copy',
  'consumers wait for the wrong parity': 'uninitialised read',
  'consumers never turn the parity': 'pending copy',
  'consumers do not wait': 'uninitialised read',
  'producer does not wait for free stages': 'barrier',
  'producer waits for the wrong parity': 'deadlock',
  'producer waits without the cluster scope': 'pending copy',
  'stage freed before it is read': 'race',
  'stage not alternated': 'barrier',
  'stages freed in this CTA only': 'deadlock',
  'one arrival too few counted': 'race',
  'one arrival too many counted': 'deadlock',
  'initialisation not fenced': 'barrier',
  'no cluster barrier after the initialisation': 'cluster',
  'barriers initialised by every lane': 'barrier',
  'data multicast to this CTA only': 'deadlock',
  'every lane starts the copies': 'barrier',
  'one load too many': 'pending copy',
  'box one row too low': 'wrong result',
  'tile read without the swizzle': 'wrong result',
  'sums read without waiting': 'uninitialised read',
  'sums waited for without the cluster scope': 'pending copy',
  'sums sent to the wrong barrier': 'cluster',
  'bytes of the sums not announced': 'uninitialised read',
  'no proxy fence before the store': 'proxy',
  'no barrier before the store': 'uninitialised read',
  'store not committed': 'pending copy',
  'store not waited for': 'pending copy',
  'staging overwritten before it is read': 'race',
  'no cluster barrier before the end': 'cluster',
  'cluster barrier skipped by one warp': 'barrier',
};

describe('a ring of tensor copies', () => {
  it('is right, whenever copies arrive', () => {
    for (const seed of [undefined, 1, 2, 3, 4, 5]) expect(errorOf(undefined, seed)).toBe(0);
  });

  for (const mistake of ringMistakes) {
    it(`${mistake}: ${verdicts[mistake]}`, () => {
      let verdict: string;
      try {
        verdict = errorOf(mistake) === 0 ? 'nothing' : 'wrong result';
      } catch (error) {
        if (!(error instanceof SimulationError)) throw error;
        verdict = error.kind;
        if (process.env.SHOW) console.log(mistake, error.message);
        expect(error.place.location.file).toMatch(/testing\/ring\.ts$/);
      }
      expect(verdict).toBe(verdicts[mistake]);
    });
  }
});
