import type { Ops, Pointer, TensorMap, Value } from '@flash-mla/ptx';
import { tileTokens } from '../hopper/tile.ts';
import type { RingPosition } from '../hopper-swapped/ring.ts';
import { type E4m3Shared, keyTiles, stageBytes, tileColumns } from './tile.ts';

/** Where the blocks of a request are. */
export interface KeyBlocks {
  /** (columns, tokens of a page, KV heads, pages). */
  readonly map: TensorMap<'e4m3'>;
  readonly headK: Value<'u32'>;
  readonly pageSize: number;
  /** The request's row of the block table. */
  readonly pages: Pointer<'global', 'u32'>;
}

/**
 * Fetches blocks `from` to `to` of a request; a whole warp, of which one lane starts the copies. The
 * box of the last tile reaches beyond a row's end: zeros arrive there, and count, without being read.
 */
export function fetchKeys(
  k: Ops,
  shared: E4m3Shared,
  ring: RingPosition,
  blocks: KeyBlocks,
  from: Value<'u32'>,
  to: Value<'u32'>,
): void {
  const blocksPerPage = blocks.pageSize / tileTokens;
  /** The pages of 32 blocks, one per lane. */
  const pages = k.var('u32', 0).named('pages');
  k.for({ from, to, name: 'block', uniform: true, unroll: false }, (block) => {
    const index = block.sub(from).and(31);
    k.if(
      index.eq(0),
      () => {
        const own = block.add(k.laneId).min(to.sub(1));
        pages.set(blocks.pages.at(own.div(blocksPerPage)).load({ nc: true }));
      },
      { uniform: true },
    );
    const page = k.shuffle(pages as Value<'u32'>, index);
    const token = block.rem(blocksPerPage).mul(tileTokens);
    k.mbarrierWait(shared.empty.at(ring.stage), ring.parity);
    k.if(k.electSync(), () => {
      const full = shared.full.at(ring.stage);
      k.mbarrierArriveExpectTx(full, stageBytes);
      for (let tile = 0; tile < keyTiles; tile++) {
        const place = [tile * tileColumns, token, blocks.headK, page] as const;
        k.tensorLoad(shared.keys.tile(ring.stage, tile), blocks.map, place, full);
      }
    });
    ring.advance();
  });
}
