import type { Ops } from '@flash-mla/ptx';
import type { PipelineState } from '../../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import { forEachBlock, type KeyBlocks, keyPolicy } from '../dense/key-blocks.ts';
import { type E4m3Shared, keyTiles, stageBytes, tileColumns } from './tile.ts';

/**
 * Fetches blocks of a request; a whole warp, of which one lane starts the copies. The
 * box of the last tile reaches beyond a row's end: zeros arrive there, and count, without being read.
 */
export function fetchKeys(
  k: Ops,
  shared: E4m3Shared,
  ring: PipelineState,
  blocks: KeyBlocks<'e4m3'>,
): void {
  const l2Policy = keyPolicy(k);
  forEachBlock(k, blocks, (page, token) => {
    k.mbarrierWait(shared.empty.at(ring.stage), ring.phase);
    k.if(k.electSync(), () => {
      const full = shared.full.at(ring.stage);
      k.mbarrierArriveExpectTx(full, stageBytes);
      for (let tile = 0; tile < keyTiles; tile++) {
        const place = [tile * tileColumns, token, blocks.headKv, page] as const;
        k.tensorLoad(shared.keys.tile(ring.stage, tile), blocks.map, place, full, { l2Policy });
      }
    });
    ring.advance();
  });
}
