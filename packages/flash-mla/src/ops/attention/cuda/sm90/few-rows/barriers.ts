import type { Ops } from '@flash-mla/ptx';
import { initBarriersOnce } from '../../../../kernel-lib/cuda/sm90/barriers.ts';
import { initPieceBarriers } from '../dense/init-barriers.ts';
import { consumerWarps } from '../dense/tile.ts';
import { type FewRowsShared, type KeyParts, stages } from './tile.ts';

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: FewRowsShared, parts: KeyParts): void {
  initBarriersOnce(k, () => {
    for (const { name, arrivals } of parts.list) {
      for (let stage = 0; stage < stages; stage++) {
        k.mbarrierInit(shared[`${name}Empty`].at(stage), consumerWarps);
        arrivals.forEach((_, i) => {
          k.mbarrierInit(shared[`${name}Full`].at(stage, i), 1);
        });
      }
    }
    initPieceBarriers(k, shared);
  });
}
