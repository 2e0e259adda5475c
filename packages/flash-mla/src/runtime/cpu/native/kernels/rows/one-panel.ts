import type { Memory, Zmm } from '@flash-mla/machine-code';
import { emitSoftmax } from '../attend/softmax.ts';
import { zmmVectors } from '../vectors.ts';
import type { Rows } from './context.ts';
import { emitPanelOutputs } from './panel-outputs.ts';
import { emitProbabilityTiles, emitRoundedProbabilities } from './panel-probabilities.ts';
import { emitPanelScores } from './panel-scores.ts';
import { emitRescale } from './tile-outputs.ts';

/**
 * Attends with at most 16 query rows, with values as they lie. Bringing values in pairs would cost more than it
 * spares with so few rows. `table`: see tile-tokens.ts.
 */
export function emitOnePanel(a: Rows, table: Memory<'gpr64'>): void {
  const { k, job } = a;
  const v = zmmVectors(k);
  emitPanelScores(a, table);
  k.scope(() => {
    const scale: Zmm = k.zmm('scale');
    k.vbroadcastss(scale, job.scale);
    const load: typeof v.load = (x, from) => k.vmulps(x, scale, from);
    emitSoftmax(
      { ...a, v },
      {
        load,
        lazy: true,
        emitProbabilities: (score, tokens, vectors) =>
          emitRoundedProbabilities(k, tokens, { ...vectors, score, load, exp2: v.exp2 }),
      },
    );
  });
  emitRescale(a);
  emitProbabilityTiles(a);
  emitPanelOutputs(a, table);
}
