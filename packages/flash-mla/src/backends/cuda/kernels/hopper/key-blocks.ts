import type { Ops, Pointer, TensorMap, Value } from '@flash-mla/ptx';
import type { Element } from '../mla/tile.ts';
import { tileTokens } from './tile.ts';

/** Blocks of a request, and where they are. */
export interface KeyBlocks<S extends Element | 'e4m3'> {
  /** As `decodeParams` describes it. */
  readonly map: TensorMap<S>;
  readonly headK: Value<'u32'>;
  readonly pageSize: number;
  /** The request's row of the block table. */
  readonly pages: Pointer<'global', 'u32'>;
  /** The end exclusive. */
  readonly from: Value<'u32'>;
  readonly to: Value<'u32'>;
}

/** Runs `body` for each block with its page and its first token there; a whole warp. */
export function forEachBlock<S extends Element | 'e4m3'>(
  k: Ops,
  { pageSize, pages: table, from, to }: KeyBlocks<S>,
  body: (page: Value<'u32'>, token: Value<'u32'>) => void,
): void {
  const blocksPerPage = pageSize / tileTokens;
  /** The pages of 32 blocks, one per lane. */
  const pages = k.var('u32', 0).named('pages');
  k.for({ from, to, name: 'block', uniform: true, unroll: false }, (block) => {
    const index = block.sub(from).and(31);
    k.if(
      index.eq(0),
      () => {
        const own = block.add(k.laneId).min(to.sub(1));
        pages.set(table.at(own.div(blocksPerPage)).load({ nc: true }));
      },
      { uniform: true },
    );
    const page = k.shuffle(pages as Value<'u32'>, index);
    const token = block.rem(blocksPerPage).mul(tileTokens);
    body(page, token);
  });
}
