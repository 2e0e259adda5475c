import { describe, expect, it } from 'vitest';
import { SimMemory, SimulationError, simulate } from '../index.ts';
import { type Mistake, mistakes, splitKernel, splitShape } from '../testing/mutants.ts';
import { fromBf16, toBf16 } from './numerics/float.ts';

const { m } = splitShape;
const [splits, depth, n] = [3, 128, 43];
const pitch = splits * depth;

const random = (() => {
  let state = 7;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
})();
const matrix = (rows: number) => Uint16Array.from({ length: rows * pitch }, () => toBf16(random()));
const a = matrix(m);
const b = matrix(n);

/** What the kernel computes, by its definition. */
function expected(): Float64Array {
  const out = new Float64Array(m * n);
  for (let s = 0; s < splits; s++) {
    for (let i = 0; i < m; i++) {
      const row = Array.from({ length: n }, (_, j) => {
        let sum = 0;
        for (let k = s * depth; k < (s + 1) * depth; k++) {
          sum += fromBf16(a[i * pitch + k]) * fromBf16(b[j * pitch + k]);
        }
        return sum;
      });
      const scale = 1 / (1 + row.reduce((x, y) => x + Math.abs(y), 0));
      row.forEach((p, j) => {
        out[i * n + j] += p * scale;
      });
    }
  }
  return out;
}

/** Runs the kernel; gives the largest error of its result. */
function errorOf(mistake?: Mistake): number {
  const memory = new SimMemory();
  const params = {
    a: memory.allocFrom(a),
    b: memory.allocFrom(b),
    partial: memory.alloc(splits * m * n * 4),
    arrived: memory.allocFrom(new Uint32Array(1)),
    out: memory.allocFrom(new Float32Array(m * n)),
    n,
    depth,
  };
  simulate(splitKernel(mistake), { grid: [splits], memory, params, target: 'sm_80' });
  const out = new Float32Array(memory.read(params.out, m * n * 4).buffer);
  return expected().reduce((worst, want, i) => Math.max(worst, Math.abs(want - out[i])), 0);
}

/** What finds each mistake: the simulator's complaint, or the comparison of the result. */
const verdicts: Record<Mistake, SimulationError['kind'] | 'wrong result'> = {
  'no barrier after the copies arrive': 'race',
  'no barrier before a stage is refilled': 'race',
  'no wait for the copies': 'pending copy',
  'wait leaves one group pending at the end': 'pending copy',
  'copies never committed': 'pending copy',
  'stage not alternated': 'pending copy',
  'row stride of the source too small': 'wrong result',
  'ldmatrix without the swizzle': 'wrong result',
  'ldmatrix one row too far': 'pending copy',
  'ldmatrix halves swapped': 'wrong result',
  'ldmatrix transposed': 'wrong result',
  'A fragments in the wrong order': 'wrong result',
  'B fragments in the wrong order': 'wrong result',
  'accumulator not initialised': 'uninitialised read',
  'one round too few': 'wrong result',
  'one round too many': 'out of bounds',
  'rows beyond the end not predicated': 'out of bounds',
  'zero fill of missing rows forgotten': 'uninitialised read',
  'shuffle inside a divergent branch': 'divergence',
  'shuffle over half of the lanes': 'wrong result',
  'barrier inside a divergent branch': 'divergence',
  'barrier skipped by one warp': 'race',
  'named barrier with too many threads': 'deadlock',
  'staging overlaps tiles still in use': 'pending copy',
  'staging read without a barrier': 'race',
  'no fence before the signal': 'unpublished read',
  'no fence after the signal': 'unpublished read',
  'partial results read through the read-only path': 'unpublished read',
  'column predicate forgotten in the store': 'out of bounds',
  'columns of the store shifted': 'wrong result',
  'signal sent by every thread': 'uninitialised read',
};

describe('a kernel with a mistake', () => {
  it('is right without one', () => {
    expect(errorOf()).toBeLessThan(1e-6);
  });

  for (const mistake of mistakes) {
    it(`${mistake}: ${verdicts[mistake]}`, () => {
      let verdict: string;
      try {
        verdict = errorOf(mistake) < 1e-6 ? 'nothing' : 'wrong result';
      } catch (error) {
        if (!(error instanceof SimulationError)) throw error;
        verdict = error.kind;
        expect(error.place.location.file).toMatch(/testing\/mutants\.ts$/);
      }
      expect(verdict).toBe(verdicts[mistake]);
    });
  }
});
