import { type Ops, packPair, unpackPair, type Value, type Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import {
  laneRows,
  type RegisterTile,
  registersOfRow,
  rowMax,
  scaleRows,
} from '../../../../kernel-lib/cuda/sm90/register-tile.ts';
import { isRare, takeDifferences } from '../../large-scores.ts';
import { raiseRunningMax } from '../../sm80/mla/softmax.ts';

/** Fragments of a row tile's weights: 4 registers for every 16 tokens. */
export type Weights = readonly (readonly Value<'f16x2' | 'bf16x2'>[])[];

/**
 * A consumer's share of the attention of its lanes' two rows, 8 apart: half the columns of the output
 * over all blocks, and the sum of the weights of its own blocks, all relative to 2^`runningMax`.
 */
export interface RowState {
  readonly runningMax: readonly Var<'f32'>[];
  readonly sum: readonly Var<'f32'>[];
  readonly outputs: RegisterTile;
}

export function rowState(k: Ops, columns: number): RowState {
  return {
    runningMax: k.vars('f32', 2),
    sum: k.vars('f32', 2),
    outputs: k.vars('f32', columns / 2),
  };
}

export function resetRows({ runningMax, sum, outputs }: RowState): void {
  for (const r of laneRows) {
    runningMax[r].set(Number.NEGATIVE_INFINITY);
    sum[r].set(0);
  }
  for (const output of outputs) output.set(0);
}

/**
 * Online-softmax step of a block: P = 2^(S · scale − m). The running maximum m is raised only where a score
 * exceeds it by far, which is rare. The sums are rescaled here, the outputs by who calls, with `factors` where
 * `rescales` says so: multiplications may still be adding to them.
 */
export function softmaxStep(
  k: Ops,
  element: Element,
  state: RowState,
  scores: readonly Var<'f32'>[],
  scale: Value<'f32'>,
) {
  const raised = laneRows.map((r) => {
    const largest = rowMax(k, registersOfRow(scores, r));
    return raiseRunningMax(k, state.runningMax[r], largest.mul(scale));
  });
  const rows = laneRows.map((r) => ({ scores: registersOfRow(scores, r), base: raised[r].base }));
  const rescales = isRare(k, raised);
  const bases = takeDifferences(k, rows, scale, rescales);
  const factors = raised.map(({ factor }, r) => {
    const before = state.sum[r].mul(factor);
    let sum: Value<'f32'> = k.constant('f32', 0);
    for (const s of rows[r].scores) {
      s.set(k.ex2(k.fma(s, scale, bases[r]), { ftz: true }));
      sum = sum.add(s);
    }
    state.sum[r].set(before.add(sum));
    return factor;
  });
  const weights = [];
  for (let i = 0; i < scores.length; i += 8) {
    weights.push([0, 2, 4, 6].map((j) => packPair(k, element, scores[i + j], scores[i + j + 1])));
  }
  return { weights: weights as Weights, factors, rescales };
}

/**
 * Rescales the partner's weights and this consumer's outputs to their common maximum. Maxima differ in the
 * first blocks of a request and where one has just been raised.
 */
export function rescaleToCommonMax(
  k: Ops,
  element: Element,
  state: RowState,
  weights: readonly (readonly Var<'b32'>[])[],
  references: readonly Value<'f32'>[],
): void {
  const differ = k.any(
    references[0].ne(state.runningMax[0]).or(references[1].ne(state.runningMax[1])),
  );
  k.if(
    differ,
    () => {
      const factors = laneRows.map((r) => {
        const runningMax = state.runningMax[r].max(references[r]);
        const base = k.select<'f32'>(runningMax.eq(Number.NEGATIVE_INFINITY), 0, runningMax);
        const own = k.ex2(state.runningMax[r].sub(base), { ftz: true });
        const other = k.ex2(references[r].sub(base), { ftz: true });
        state.runningMax[r].set(runningMax);
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
