import type { Ops } from '@flash-mla/ptx';
import { initBarriersOnce, initPieceBarriers } from '../hopper/init-barriers.ts';
import { ringStages } from '../hopper/ring-position.ts';
import { consumerWarps } from '../hopper/tile.ts';
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
