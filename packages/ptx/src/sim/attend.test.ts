import { describe, expect, it } from 'vitest';
import { encodeTensorMap, SimMemory, SimulationError, simulate } from '../index.ts';
import {
  type AttendMistake,
  type AttendOptions,
  attendKernel,
  attendMistakes,
  attendShape,
} from '../testing/attend.ts';

const { rows, tokens, columns } = attendShape;
const blocks = 3;
const scale = 0.25;

const bf16 = (x: number): number => {
  const word = new Int32Array(new Float32Array([x]).buffer)[0];
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
};
const single = (bits: number): number => new Float32Array(new Int32Array([bits << 16]).buffer)[0];

/** Small multiples of 1/8: all sums are exact, so a wrong element shows. */
function numbers(count: number, seed: number): Uint16Array<ArrayBuffer> {
  let state = seed;
  return Uint16Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return bf16(((state >>> 20) % 33) / 8 - 2);
  });
}

const queries = numbers(2 * rows * columns, 1);
const keys = numbers(blocks * tokens * columns, 2);
const wanted = (() => {
  const q = Float64Array.from(queries, single);
  const k = Float64Array.from(keys, single);
  const out = new Float64Array(2 * rows * columns);
  for (let row = 0; row < 2 * rows; row++) {
    for (let token = 0; token < blocks * tokens; token++) {
      let score = 0;
      for (let d = 0; d < columns; d++) score += q[row * columns + d] * k[token * columns + d];
      const weight = single(bf16(score * scale));
      for (let d = 0; d < columns; d++) out[row * columns + d] += weight * k[token * columns + d];
    }
  }
  return out;
})();

/** Largest error of a run. */
function errorOf(options: AttendOptions, seed?: number): number {
  const memory = new SimMemory();
  const x = memory.allocFrom(queries);
  const y = memory.allocFrom(keys);
  const out = memory.alloc(2 * rows * columns * 4);
  const map = encodeTensorMap({
    element: 'bf16',
    address: y,
    dims: [columns, blocks * tokens],
    strides: [columns * 2],
    box: [64, tokens],
    swizzle: '128B',
  });
  simulate(attendKernel(options), {
    grid: [1],
    memory,
    params: { queries: x, keys: map, out, blocks, scale },
    ...(seed === undefined ? {} : { deliverySeed: seed }),
  });
  const got = new Float32Array(memory.read(out, 2 * rows * columns * 4).buffer);
  return wanted.reduce((most, want, i) => Math.max(most, Math.abs(want - got[i])), 0);
}

const variants = ([256, 384] as const).flatMap((threads) =>
  (['registers', 'shared'] as const).flatMap((weights) =>
    ([0, 1] as const).map((pending) => ({ threads, weights, pending })),
  ),
);

describe('attention by warp groups', () => {
  it.each(variants)('$threads threads, weights in $weights, $pending pending', (variant) => {
    expect(errorOf(variant)).toBe(0);
    expect(errorOf(variant, 3)).toBe(0);
  });
});

type Verdict = SimulationError['kind'] | 'wrong result';
type Variant = Omit<AttendOptions, 'mistake'>;

const simple: Variant = { threads: 256, weights: 'registers', pending: 0 };
const stored: Variant = { threads: 384, weights: 'shared', pending: 0 };
const overlapped: Variant = { threads: 384, weights: 'registers', pending: 1 };

/** What finds each mistake: the simulator's complaint, or the comparison of the result. */
const verdicts: Record<AttendMistake, readonly [Variant, Verdict]> = {
  'no fence before the first multiplication': [simple, 'pending registers'],
  'no fence after the weights are computed': [simple, 'pending registers'],
  'scores read before they are waited for': [simple, 'pending registers'],
  'weights overwritten before they are used': [overlapped, 'pending registers'],
  'outputs read before they are waited for': [overlapped, 'pending registers'],
  'group never committed': [simple, 'pending registers'],
  'keys released before they are used': [overlapped, 'race'],
  'keys not waited for': [simple, 'uninitialised read'],
  'no proxy fence after the weights are stored': [stored, 'proxy'],
  'no proxy fence after the queries are stored': [simple, 'proxy'],
  'weights stored over those in use': [stored, 'pending copy'],
  'scores of the block before added': [simple, 'uninitialised read'],
  'first outputs added to what was there': [simple, 'wrong result'],
  'depth not advanced': [simple, 'wrong result'],
  'next tile not advanced': [simple, 'wrong result'],
  'values not transposed': [simple, 'wrong result'],
  'values advanced as if they were K-major': [simple, 'wrong result'],
  'leading stride of the values wrong': [simple, 'wrong result'],
  'stage not alternated': [simple, 'pending copy'],
  'one warp leaves out a multiplication': [simple, 'divergence'],
  'warps name different matrices': [simple, 'divergence'],
  'rows of another warp group': [simple, 'wrong result'],
};

describe('mistakes with warp groups', () => {
  for (const mistake of attendMistakes) {
    const [variant, wanted] = verdicts[mistake];
    it(`${mistake}: ${wanted}`, () => {
      let verdict: string;
      try {
        verdict = errorOf({ ...variant, mistake }) === 0 ? 'nothing' : 'wrong result';
      } catch (error) {
        if (!(error instanceof SimulationError)) throw error;
        verdict = error.kind;
        if (process.env.SHOW) console.log(mistake, error.message);
        expect(error.place.location.file).toMatch(/testing\/attend\.ts$/);
      }
      expect(verdict).toBe(wanted);
    });
  }
});
