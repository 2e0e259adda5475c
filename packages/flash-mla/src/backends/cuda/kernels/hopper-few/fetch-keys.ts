import type { Ops, Value } from '@flash-mla/ptx';
import type { KeyBlocks } from '../hopper/fetch-keys.ts';
import { tileBytes, tileTokens } from '../hopper/tile.ts';
import type { PartRings } from './rings.ts';
import { type FewRowsShared, keyParts } from './tile.ts';

/** Fetches blocks `from` to `to` of a request; a whole warp, of which one lane starts the copies. */
export function fetchKeys(
  k: Ops,
  shared: FewRowsShared,
  rings: PartRings,
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
    const isLeader = k.electSync();
    for (const { name, first, arrivals } of keyParts) {
      const { stage, parity } = rings[name];
      k.mbarrierWait(shared[`${name}Empty`].at(stage), parity);
      k.if(isLeader, () => {
        let tile = 0;
        arrivals.forEach((tiles, i) => {
          const full = shared[`${name}Full`].at(stage, i);
          k.mbarrierArriveExpectTx(full, tiles * tileBytes);
          for (const end = tile + tiles; tile < end; tile++) {
            const place = [0, token, first + tile, blocks.headK, page] as const;
            k.tensorLoad(shared[name].tile(stage, tile), blocks.map, place, full);
          }
        });
      });
    }
    rings.advance();
  });
}
