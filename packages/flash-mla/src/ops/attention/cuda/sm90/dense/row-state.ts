import { type Ops, packPair, segmentMax, unpackPair, type Value, type Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { moveReference } from '../../sm80/mla/softmax.ts';

const pair = [0, 1] as const;

/** Fragments of a row tile's weights: 4 registers for every 16 tokens. */
export type Weights = readonly (readonly Value<'f16x2' | 'bf16x2'>[])[];

/**
 * A consumer's share of the attention of its lanes' two rows, 8 apart: half the columns of the output
 * over all blocks, and the sum of the weights of its own blocks, all relative to 2^reference.
 */
export interface RowState {
  readonly reference: readonly Var<'f32'>[];
  readonly sum: readonly Var<'f32'>[];
  /** Four registers for every 8 columns. */
  readonly outputs: readonly Var<'f32'>[];
}

export function rowState(k: Ops, columns: number): RowState {
  return {
    reference: k.vars('f32', 2),
    sum: k.vars('f32', 2),
    outputs: k.vars('f32', columns / 2),
  };
}

export function resetRows({ reference, sum, outputs }: RowState): void {
  for (const r of pair) {
    reference[r].set(Number.NEGATIVE_INFINITY);
    sum[r].set(0);
  }
  for (const output of outputs) output.set(0);
}

/** Which of the lane's two rows an accumulator's register belongs to. */
const rowOf = (register: number): 0 | 1 => ((register >> 1) & 1) as 0 | 1;

function rescale(k: Ops, state: RowState, factors: readonly Value<'f32'>[]): void {
  const moved = k.any(factors[0].ne(1).or(factors[1].ne(1)));
  k.if(
    moved,
    () => {
      state.outputs.forEach((output, i) => {
        output.set(output.mul(factors[rowOf(i)]));
      });
    },
    { uniform: true },
  );
  for (const r of pair) state.sum[r].set(state.sum[r].mul(factors[r]));
}

/**
 * Turns a block's scores into weights. References move only where a score rises far above them, which
 * is rare; `beforeRescale` runs before outputs are touched.
 */
export function weigh(
  k: Ops,
  element: Element,
  state: RowState,
  scores: readonly Var<'f32'>[],
  scale: Value<'f32'>,
): { readonly weights: Weights; readonly factors: readonly Value<'f32'>[] } {
  const factors = pair.map((r) => {
    const mine = scores.filter((_, i) => rowOf(i) === r);
    const largest = segmentMax(
      k,
      mine.map((s) => s as Value<'f32'>).reduce((a, b) => a.max(b)),
      4,
    );
    const { factor, base } = moveReference(k, state.reference[r], largest.mul(scale));
    const before = state.sum[r].mul(factor);
    let sum: Value<'f32'> = k.constant('f32', 0);
    for (const s of mine) {
      s.set(k.ex2(k.fma(s, scale, base), { ftz: true }));
      sum = sum.add(s);
    }
    state.sum[r].set(before.add(sum));
    return factor;
  });
  const weights = [];
  for (let i = 0; i < scores.length; i += 8) {
    weights.push([0, 2, 4, 6].map((j) => packPair(k, element, scores[i + j], scores[i + j + 1])));
  }
  return { weights, factors };
}

/** Multiplies the outputs by the factors that {@link weigh} found; the sums have theirs already. */
export function rescaleOutputs(k: Ops, state: RowState, factors: readonly Value<'f32'>[]): void {
  const moved = k.any(factors[0].ne(1).or(factors[1].ne(1)));
  k.if(
    moved,
    () => {
      state.outputs.forEach((output, i) => {
        output.set(output.mul(factors[rowOf(i)]));
      });
    },
    { uniform: true },
  );
}

/**
 * Brings the partner's weights and this consumer's outputs to the same references, the larger ones:
 * they differ in the first blocks of a request and where a reference has just moved.
 */
export function meet(
  k: Ops,
  element: Element,
  state: RowState,
  weights: readonly (readonly Var<'b32'>[])[],
  references: readonly Value<'f32'>[],
): void {
  const differ = k.any(
    references[0].ne(state.reference[0]).or(references[1].ne(state.reference[1])),
  );
  k.if(
    differ,
    () => {
      const factors = pair.map((r) => {
        const reference = state.reference[r].max(references[r]);
        const base = k.select<'f32'>(reference.eq(Number.NEGATIVE_INFINITY), 0, reference);
        const own = k.ex2(state.reference[r].sub(base), { ftz: true });
        const other = k.ex2(references[r].sub(base), { ftz: true });
        state.reference[r].set(reference);
        return { own, other };
      });
      rescale(
        k,
        state,
        factors.map(({ own }) => own),
      );
      for (const fragment of weights) {
        fragment.forEach((word, i) => {
          const { other } = factors[i & 1];
          const [lo, hi] = unpackPair(k, word.as(element === 'f16' ? 'f16x2' : 'bf16x2'));
          word.set(packPair(k, element, lo.mul(other), hi.mul(other)).as('b32'));
        });
      }
    },
    { uniform: true },
  );
}
