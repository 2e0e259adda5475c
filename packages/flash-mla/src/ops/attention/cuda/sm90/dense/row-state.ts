import { type Ops, packPair, unpackPair, type Value, type Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import {
  laneRows,
  type RegisterTile,
  registersOfRow,
  rowMax,
  scaleRows,
} from '../../../../kernel-lib/cuda/sm90/register-tile.ts';
import { moveReference } from '../../sm80/mla/softmax.ts';

/** Fragments of a row tile's weights: 4 registers for every 16 tokens. */
export type Weights = readonly (readonly Value<'f16x2' | 'bf16x2'>[])[];

/**
 * A consumer's share of the attention of its lanes' two rows, 8 apart: half the columns of the output
 * over all blocks, and the sum of the weights of its own blocks, all relative to 2^reference.
 */
export interface RowState {
  readonly reference: readonly Var<'f32'>[];
  readonly sum: readonly Var<'f32'>[];
  readonly outputs: RegisterTile;
}

export function rowState(k: Ops, columns: number): RowState {
  return {
    reference: k.vars('f32', 2),
    sum: k.vars('f32', 2),
    outputs: k.vars('f32', columns / 2),
  };
}

export function resetRows({ reference, sum, outputs }: RowState): void {
  for (const r of laneRows) {
    reference[r].set(Number.NEGATIVE_INFINITY);
    sum[r].set(0);
  }
  for (const output of outputs) output.set(0);
}

/**
 * Turns a block's scores into weights. References move only where a score rises far above them, which
 * is rare. The sums are rescaled here, the outputs by who calls, with `factors`: multiplications may
 * still be adding to them.
 */
export function weigh(
  k: Ops,
  element: Element,
  state: RowState,
  scores: readonly Var<'f32'>[],
  scale: Value<'f32'>,
): { readonly weights: Weights; readonly factors: readonly Value<'f32'>[] } {
  const factors = laneRows.map((r) => {
    const mine = registersOfRow(scores, r);
    const largest = rowMax(k, mine);
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
      const factors = laneRows.map((r) => {
        const reference = state.reference[r].max(references[r]);
        const base = k.select<'f32'>(reference.eq(Number.NEGATIVE_INFINITY), 0, reference);
        const own = k.ex2(state.reference[r].sub(base), { ftz: true });
        const other = k.ex2(references[r].sub(base), { ftz: true });
        state.reference[r].set(reference);
        return { own, other };
      });
      const own = factors.map((factor) => factor.own);
      scaleRows(k, state.outputs, own);
      for (const r of laneRows) state.sum[r].set(state.sum[r].mul(own[r]));
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
