import {
  defineKernel,
  type Gpr64,
  type Kernel,
  type KernelBuilder,
  type Zmm,
} from '@flash-mla/machine-code';
import { emitSoftmax } from '../attend/softmax.ts';
import { rowsAmxFeatures, rowsAmxTokens } from '../features.ts';
import { zmmVectors } from '../vectors.ts';
import type { RowsInputs } from './context.ts';
import { rowsJob } from './job.ts';
import { emitCheckValues, emitPackValues } from './pack-values.ts';
import { emitPairedProbabilities } from './softmax.ts';
import { emitRescale, emitTileOutputs, emitTransposeProbabilities } from './tile-outputs.ts';
import { emitTileScores } from './tile-scores.ts';
import { emitTileTokens, entryBytes, tileTokens } from './tile-tokens.ts';

/** As rows-bf16.ts, of up to 256 tokens, with the tile registers of AMX. */
export const rowsAmx: Kernel<typeof rowsJob> = defineKernel(
  { name: 'rows_amx', features: rowsAmxFeatures, job: rowsJob, args: ['base'] },
  (k, { base, ...job }) => emitRowsAmx(k, job, base),
);

/** What the kernel does; `k` may be one that does the work of tiles in another way. */
export function emitRowsAmx(k: KernelBuilder, job: RowsInputs, memory: Gpr64): void {
  const base = k.stack(8, 8);
  k.mov(base, memory);
  k.free(memory);
  const v = zmmVectors(k);
  const a = { k, v, job, base };
  const table = k.stack((rowsAmxTokens / tileTokens) * entryBytes, 16);
  k.configureTiles();
  emitCheckValues(a);
  emitPackValues(a, 32);
  emitTileTokens(a, table);
  emitTileScores(a, table);
  k.scope(() => {
    const scale: Zmm = k.zmm('scale');
    k.vbroadcastss(scale, job.scale);
    const load: typeof v.load = (x, from) => k.vmulps(x, scale, from);
    emitSoftmax(a, {
      load,
      lazy: true,
      emitProbabilities: (score, tokens, vectors) =>
        emitPairedProbabilities(k, tokens, {
          ...vectors,
          score,
          load,
          exp2: v.exp2,
          pairsTo: 16,
        }),
    });
  });
  emitRescale(a);
  emitTransposeProbabilities(a);
  emitTileOutputs(a);
}
