import { type Ops, packPair, segmentMax, segmentSum, type Value } from '@flash-mla/ptx';
import type { Fragment } from '../../../../kernel-lib/cuda/sm80/fragments.ts';
import { isRare, takeDifferences } from '../../large-scores.ts';
import { newRowState, type RowState, raiseRunningMax } from '../mla/softmax.ts';
import type { Accumulators } from './scores.ts';
import type { MhaTile } from './tile.ts';

const pair = [0, 1] as const;

/** The statistics of the warp's rows: one state of two rows per row tile. */
export const newRowStates = (k: Ops, tile: MhaTile): RowState[] =>
  Array.from({ length: tile.rowTiles }, () => newRowState(k));

/** Softmax weights of a step. */
export interface Weights {
  /** Left operands of the product with V: [row tile][16 tokens][4]. */
  readonly fragments: readonly (readonly (readonly Fragment[])[])[];
  /** What the outputs so far must be multiplied by: [row tile][2]. */
  readonly factors: readonly (readonly Value<'f32'>[])[];
}

/**
 * Turns scores into weights; `scale` turns scores into powers of two. A warp has all tokens of its
 * rows, and the accumulators of two neighbouring products are the left operand of the next.
 */
export function softmaxStep(
  k: Ops,
  { element }: MhaTile,
  states: readonly RowState[],
  scores: Accumulators,
  scale: Value<'f32'>,
): Weights {
  const fragments: Fragment[][][] = [];
  const factors = scores.map((rowScores, m) => {
    const state = states[m];
    const words = rowScores.map((): Fragment[] => []);
    const raised = pair.map((r) => {
      const local = rowScores.map((acc) => acc[2 * r].max(acc[2 * r + 1]));
      const largest = segmentMax(
        k,
        local.reduce((a, b) => a.max(b)),
        4,
      );
      return raiseRunningMax(k, state.runningMax[r], largest.mul(scale));
    });
    const rows = pair.map((r) => ({
      scores: rowScores.flatMap((acc) => acc.slice(2 * r, 2 * r + 2)),
      base: raised[r].base,
    }));
    const bases = takeDifferences(k, rows, scale, isRare(k, raised));
    const rowFactors = raised.map(({ factor }, r) => {
      let sum = state.sum[r].mul(factor);
      rowScores.forEach((acc, j) => {
        const [p0, p1] = [acc[2 * r], acc[2 * r + 1]].map((s) =>
          k.ex2(k.fma(s, scale, bases[r]), { ftz: true }),
        );
        sum = sum.add(p0.add(p1));
        words[j].push(packPair(k, element, p0, p1));
      });
      state.sum[r].set(sum);
      return factor;
    });
    fragments.push(
      Array.from({ length: words.length / 2 }, (_, i) => [...words[2 * i], ...words[2 * i + 1]]),
    );
    return rowFactors;
  });
  return { fragments, factors };
}

/** The sums of the lane's rows over the lanes that share them: [row tile][2]. */
export const rowSums = (k: Ops, states: readonly RowState[]): Value<'f32'>[][] =>
  states.map(({ sum }) => sum.map((s) => segmentSum(k, s, 4)));
