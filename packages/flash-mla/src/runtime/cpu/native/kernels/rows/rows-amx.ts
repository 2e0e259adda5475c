import {
  defineKernel,
  type Gpr64,
  type Kernel,
  type KernelBuilder,
  type Memory,
  type Zmm,
} from '@flash-mla/machine-code';
import { emitSoftmax } from '../attend/softmax.ts';
import { rowsAmxFeatures, rowsAmxTokens } from '../features.ts';
import { zmmVectors } from '../vectors.ts';
import type { Rows, RowsInputs } from './context.ts';
import { rowsJob } from './job.ts';
import { emitOnePanel } from './one-panel.ts';
import { emitCheckValues, emitPackValues } from './pack-values.ts';
import { panelTiles } from './panel-scores.ts';
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
  const a = { k, job, base };
  const table = k.stack((rowsAmxTokens / tileTokens + panelTiles) * entryBytes, 16);
  k.configureTiles();
  emitCheckValues(a);
  emitTileTokens(a, table, panelTiles);
  k.cmp(job.columnPairs, 0);
  k.if(
    k.flags('ne'),
    () => emitOnePanel(a, table),
    () => emitPanels(a, table),
  );
}

/** Attends with any number of query rows, by values in pairs. */
function emitPanels(a: Rows, table: Memory<'gpr64'>): void {
  const { k, job } = a;
  const v = zmmVectors(k);
  emitPackValues(a, 32);
  emitTileScores(a, table);
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
          emitPairedProbabilities(k, tokens, {
            ...vectors,
            score,
            load,
            exp2: v.exp2,
            pairsTo: 16,
          }),
      },
    );
  });
  emitRescale(a);
  emitTransposeProbabilities(a);
  emitTileOutputs(a);
}
