import type { Ops } from '@flash-mla/ptx';
import { initBarriersOnce } from '../../../../kernel-lib/cuda/sm90/barriers.ts';
import { initPieceBarriers } from '../dense/init-barriers.ts';
import { consumerWarps } from '../dense/tile.ts';
import type { E4m3Shared, E4m3Tile } from './tile.ts';

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: E4m3Shared, { stages }: E4m3Tile): void {
  initBarriersOnce(k, () => {
    for (let i = 0; i < stages; i++) {
      k.mbarrierInit(shared.full.at(i), 1);
      k.mbarrierInit(shared.empty.at(i), consumerWarps);
    }
    initPieceBarriers(k, shared);
  });
}
