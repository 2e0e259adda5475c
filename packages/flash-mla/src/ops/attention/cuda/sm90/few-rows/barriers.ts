import type { Ops } from '@flash-mla/ptx';
import { ringStages } from '../../../../kernel-lib/cuda/sm90/ring-position.ts';
import { initBarriersOnce, initPieceBarriers } from '../dense/init-barriers.ts';
import { consumerWarps } from '../dense/tile.ts';
import { type FewRowsShared, keyParts } from './tile.ts';

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: FewRowsShared): void {
  initBarriersOnce(k, () => {
    for (const { name, arrivals } of keyParts) {
      for (let stage = 0; stage < ringStages; stage++) {
        k.mbarrierInit(shared[`${name}Empty`].at(stage), consumerWarps);
        arrivals.forEach((_, i) => {
          k.mbarrierInit(shared[`${name}Full`].at(stage, i), 1);
        });
      }
    }
    initPieceBarriers(k, shared);
  });
}
