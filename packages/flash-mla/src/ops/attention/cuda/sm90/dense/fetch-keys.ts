import type { Ops, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { KeyChunk } from '../../../../kernel-lib/cuda/sm90/geometry.ts';
import type { PipelineState } from '../../../../kernel-lib/cuda/sm90/pipeline-state.ts';
import { forEachBlock, type KeyBlocks, keyPolicy } from './key-blocks.ts';
import { partBarrier } from './ring.ts';
import type { HopperShared, HopperTile } from './tile.ts';

/** Fetches blocks of a request; a whole warp, of which one lane starts the copies. */
export function fetchKeys(
  k: Ops,
  shared: HopperShared,
  { clusterSize, prefetches, geometry }: HopperTile,
  ring: PipelineState,
  blocks: KeyBlocks<Element>,
): void {
  const { chunks, tileBytes } = geometry;
  const rank = clusterSize > 1 ? k.clusterCtaRank : undefined;
  const cluster = clusterSize > 1 ? 'buffers' : false;
  const multicast = clusterSize > 1 ? { multicast: 2 ** clusterSize - 1 } : {};
  const options = { ...multicast, l2Policy: keyPolicy(k) };
  forEachBlock(k, blocks, (page, token) => {
    const isLeader = k.electSync();
    const place = (tile: number | Value<'u32'>) => [0, token, tile, blocks.headKv, page] as const;
    /** The tiles of a part that this CTA loads, for all of its cluster. */
    const forShare = (part: KeyChunk, use: (tile: number | Value<'u32'>) => void) => {
      const { tiles, first } = part;
      if (rank === undefined) {
        for (let i = 0; i < tiles; i++) use(first + i);
      } else if (tiles === 1) {
        // One tile cannot be shared out: the CTAs take turns.
        k.if(ring.stage.eq(rank), () => use(first));
      } else {
        const share = tiles / clusterSize;
        for (let i = 0; i < share; i++) use(k.mad(rank, share, first + i));
      }
    };
    if (prefetches) {
      k.if(isLeader, () => {
        for (const part of chunks) {
          forShare(part, (tile) => k.tensorPrefetch(blocks.map, place(tile)));
        }
      });
    }
    chunks.forEach((part, i) => {
      if (part.released !== chunks[i - 1]?.released) {
        const empty = partBarrier(shared.empty, ring.stage, part.released);
        k.mbarrierWait(empty, ring.phase, { cluster });
      }
      k.if(isLeader, () => {
        const full = partBarrier(shared.full, ring.stage, i);
        k.mbarrierArriveExpectTx(full, part.tiles * tileBytes);
        forShare(part, (tile) => {
          const to = shared.keys.tile(ring.stage, tile);
          k.tensorLoad(to, blocks.map, place(tile), full, options);
        });
      });
    });
    ring.advance();
  });
}
