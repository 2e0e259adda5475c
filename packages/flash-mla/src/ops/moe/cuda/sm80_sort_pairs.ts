import { defineKernel, field, global, type Kernel, type ParamDecls } from '@flash-mla/ptx';

/** What the code depends on. */
export interface SortConfig {
  readonly experts: number;
  /** Pairs that are computed together. */
  readonly rowTile: number;
}

const params = {
  ids: global('u32'),
  /** Pairs: of a row and one of its experts. */
  count: 'u32',
  /** The pairs, expert by expert. */
  order: global('u32'),
  /** Of each tile the expert, the place of its first pair in `order`, and its pairs. */
  tiles: global('u32'),
  numTiles: global('u32'),
} as const satisfies ParamDecls;

export type SortParams = typeof params;

/** Numbers of a tile. */
export const tileWords = 3;

/**
 * Sorts pairs by expert, in one CTA: a thread takes an expert, counts its pairs, and lists them in their
 * order. Pairs of what is no expert are in no list.
 */
export function buildSortPairs({ experts, rowTile }: SortConfig): Kernel<SortParams> {
  const options = {
    ...{ name: 'sm80_sort_pairs', params, block: [Math.ceil(experts / 32) * 32] as const },
    shared: { counts: field('u32', [experts]) },
  };
  return defineKernel(options, (k, p) => {
    const expert = k.threadIdx.x.named('expert');
    const own = k.var('u32', 0);
    const eachPair = (visit: (pair: typeof expert) => void) =>
      k.for({ to: p.count, unroll: false }, (pair) => {
        k.if(p.ids.at(pair).load().eq(expert), () => visit(pair));
      });
    eachPair(() => own.set(own.add(1)));
    k.if(expert.lt(experts), () => k.shared.counts.at(expert).store(own));
    k.barrier();
    k.if(expert.ge(experts), () => k.exit());
    const tilesOf = (count: typeof expert) => count.add(rowTile - 1).div(rowTile);
    const [first, tile] = [k.var('u32', 0), k.var('u32', 0)];
    k.for({ to: expert, unroll: false }, (other) => {
      const count = k.shared.counts.at(other).load();
      first.set(first.add(count));
      tile.set(tile.add(tilesOf(count)));
    });
    const end = k.var('u32', first);
    eachPair((pair) => {
      p.order.at(end).store(pair);
      end.set(end.add(1));
    });
    k.for({ from: first, to: end, step: rowTile, unroll: false }, (place) => {
      const to = p.tiles.at(tile.mul(tileWords));
      to.at(0).store(expert);
      to.at(1).store(place);
      to.at(2).store(end.sub(place).min(rowTile));
      tile.set(tile.add(1));
    });
    k.if(expert.eq(experts - 1), () => p.numTiles.at(0).store(tile));
  });
}
