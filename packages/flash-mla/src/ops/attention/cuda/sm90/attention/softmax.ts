import { type Ops, packPair, segmentMax, type Value, type Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import { isRare, takeDifferences } from '../../large-scores.ts';
import { raiseRunningMax } from '../../sm80/mla/softmax.ts';

const pair = [0, 1] as const;

/** Attention of a lane's two rows, 8 apart, relative to 2^reference. */
export interface MhaState {
  readonly reference: readonly Var<'f32'>[];
  /** Of the weights that this lane computed. */
  readonly sum: readonly Var<'f32'>[];
  /** Four registers for every 8 columns. */
  readonly outputs: readonly Var<'f32'>[];
}

export const mhaState = (k: Ops, columns: number): MhaState => ({
  reference: k.vars('f32', 2),
  sum: k.vars('f32', 2),
  outputs: k.vars('f32', columns / 2),
});

export function resetState({ reference, sum, outputs }: MhaState): void {
  for (const r of pair) {
    reference[r].set(Number.NEGATIVE_INFINITY);
    sum[r].set(0);
  }
  for (const output of outputs) output.set(0);
}

/** Which of the lane's two rows an accumulator's register belongs to. */
const rowOf = (register: number): 0 | 1 => ((register >> 1) & 1) as 0 | 1;

/** Several chains side by side: one would make each operation wait for the one before. */
const chains = 4;

function combined(
  values: readonly Value<'f32'>[],
  join: (a: Value<'f32'>, b: Value<'f32'>) => Value<'f32'>,
): Value<'f32'> {
  return Array.from({ length: Math.min(chains, values.length) }, (_, chain) =>
    values.filter((_, i) => i % chains === chain).reduce(join),
  ).reduce(join);
}

/**
 * Turns a block's scores into weights, in place. References move only where a score rises far above them,
 * which is rare; what was summed up so far must be multiplied by `factors` where `rescales` says so.
 */
export function weigh(
  k: Ops,
  { reference, sum }: MhaState,
  scores: readonly Var<'f32'>[],
  scale: Value<'f32'>,
): { readonly factors: readonly Value<'f32'>[]; readonly rescales: Value<'pred'> } {
  const raised = pair.map((r) => {
    const mine = scores.filter((_, i) => rowOf(i) === r);
    const largest = segmentMax(
      k,
      combined(mine, (a, b) => a.max(b)),
      4,
    );
    return { ...raiseRunningMax(k, reference[r], largest.mul(scale)), scores: mine };
  });
  const rescales = isRare(k, raised);
  const bases = takeDifferences(k, raised, scale, rescales);
  const factors = raised.map(({ factor, scores: mine }, r) => {
    const before = sum[r].mul(factor);
    const weights = mine.map((s) => {
      s.set(k.ex2(k.fma(s, scale, bases[r]), { ftz: true }));
      return s as Value<'f32'>;
    });
    sum[r].set(before.add(combined(weights, (a, b) => a.add(b))));
    return k.copy(factor);
  });
  return { factors, rescales };
}

/**
 * Keeps what follows behind the weights: the assembler would wait for multiplications, of which nothing
 * here depends, before it computes them. No sum is negative.
 */
export function holdBack(k: Ops, { sum }: MhaState): void {
  k.if(sum[0].add(sum[1]).lt(0), () => k.trap());
}

/** The weights as left operands of the product with V. */
export function packWeights(
  k: Ops,
  element: Element,
  scores: readonly Var<'f32'>[],
  weights: readonly Var<'b32'>[],
): void {
  weights.forEach((word, i) => {
    word.set(packPair(k, element, scores[2 * i], scores[2 * i + 1]).as('b32'));
  });
}
