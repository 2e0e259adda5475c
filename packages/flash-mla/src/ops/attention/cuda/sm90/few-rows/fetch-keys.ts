import type { Ops } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { PipelineState } from '../../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import { forEachBlock, type KeyBlocks, keyPolicy } from '../dense/key-blocks.ts';
import type { FewRowsShared, KeyParts } from './tile.ts';

/** Fetches blocks of a request; a whole warp, of which one lane starts the copies. */
export function fetchKeys(
  k: Ops,
  shared: FewRowsShared,
  { list, firstTile, geometry }: KeyParts,
  ring: PipelineState,
  blocks: KeyBlocks<Element>,
): void {
  const { tileBytes } = geometry;
  const l2Policy = keyPolicy(k);
  forEachBlock(k, blocks, (page, token) => {
    const isLeader = k.electSync();
    const { stage, phase } = ring;
    for (const { name, arrivals } of list) {
      k.mbarrierWait(shared[`${name}Empty`].at(stage), phase);
      k.if(isLeader, () => {
        let tile = firstTile[name];
        arrivals.forEach((tiles, i) => {
          const full = shared[`${name}Full`].at(stage, i);
          k.mbarrierArriveExpectTx(full, tiles * tileBytes);
          for (const end = tile + tiles; tile < end; tile++) {
            const place = [0, token, tile, blocks.headKv, page] as const;
            k.tensorLoad(shared.keys.tile(stage, tile), blocks.map, place, full, { l2Policy });
          }
        });
      });
    }
    ring.advance();
  });
}
