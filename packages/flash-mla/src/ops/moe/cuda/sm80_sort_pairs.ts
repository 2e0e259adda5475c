import {
  defineKernel,
  field,
  global,
  type Kernel,
  type ParamDecls,
  type Value,
} from '@flash-mla/ptx';

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
  /** How many tiles there are, and how many pairs of experts. */
  numTiles: global('u32'),
} as const satisfies ParamDecls;

export type SortParams = typeof params;

/** Numbers of a tile. */
export const tileWords = 3;

/** Bytes of shared memory that the warps' counts may take. */
const mostCounts = 32 * 1024;

/** Warps of the CTA: each counts on its own, as far as there is room; a thread for each expert at least. */
function warpsOf(experts: number): number {
  const room = Math.max(1, Math.floor(mostCounts / (experts * 4)));
  return Math.max(Math.ceil(experts / 32), 2 ** Math.floor(Math.log2(Math.min(32, room))));
}

/** Pairs of the lanes of a warp. */
interface Pairs {
  readonly pair: Value<'u32'>;
  readonly isExpert: Value<'pred'>;
  /** The count of the expert at this pair. */
  readonly place: Value<'u32'>;
}

/**
 * Sorts pairs by expert in one CTA, those of an expert in their order. Each warp takes a share of the
 * pairs that lie together: it counts them by expert, learns where the shares before it end, and puts them
 * in their places. Pairs of what is no expert are in no list.
 */
export function buildSortPairs({ experts, rowTile }: SortConfig): Kernel<SortParams> {
  const warps = warpsOf(experts);
  const threads = warps * 32;
  const counters = Math.min(warps, Math.max(1, Math.floor(mostCounts / (experts * 4))));
  const options = {
    ...{ name: 'sm80_sort_pairs', params, block: [threads] as const },
    shared: {
      counts: field('u32', [counters, experts]),
      // Of the scan: pairs and tiles of the experts up to each one, twice.
      scan: field('u32', [2, threads, 2]),
    },
  };
  return defineKernel(options, (k, p) => {
    if (k.target.sm >= 90) {
      k.waitForDependencies();
      k.launchDependents();
    }
    const expert = k.threadIdx.x.named('expert');
    const zero = k.constant('u32', 0);
    k.for({ from: expert, to: counters * experts, step: threads, unroll: false }, (i) => {
      k.shared.counts.at(zero, 0).at(i).store(zero);
    });
    k.barrier();
    const warp = k.shuffle(k.warpId, 0).named('warp');
    const share = p.count
      .add(counters - 1)
      .div(counters)
      .add(31)
      .and(0xffffffe0)
      .named('share');
    /** Warps that have pairs. */
    const used = p.count.add(share.sub(1)).div(share).named('used');
    const begin = warp.mul(share).min(p.count);
    const end = k.select(warp.lt(counters), begin.add(share).min(p.count), begin, 'u32');
    const before = k.special('lanemask_lt').as('b32');
    /** Visits the pairs of the warp, 32 at a time, with all lanes: `peers` have the expert of the lane's. */
    const eachPair = (visit: (pairs: Pairs) => void) => {
      k.for({ from: begin, to: end, step: 32, uniform: true, unroll: false }, (first) => {
        const pair = first.add(k.laneId);
        const id = k.var('u32', 0xffffffff);
        k.if(pair.lt(end), () => id.set(p.ids.at(pair).load()));
        const peers = k.matchAny(id);
        const count = k.shared.counts.at(warp, id.min(experts - 1));
        const old = count.load();
        k.syncWarp();
        const isExpert = id.lt(experts);
        const isFirst = isExpert.and(peers.and(before).eq(0));
        k.if(isFirst, () => count.store(old.add(k.popc(peers))));
        k.syncWarp();
        visit({ pair, isExpert, place: old.add(k.popc(peers.and(before))) });
      });
    };
    k.section('count', () => {
      eachPair(() => {});
      k.barrier();
    });

    const own = k.var('u32', 0);
    const isOwner = expert.lt(experts);
    k.section('places of shares within an expert', () => {
      k.if(isOwner, () => {
        k.for({ to: used, unroll: false }, (w) => {
          const at = k.shared.counts.at(w, expert);
          const count = at.load();
          at.store(own);
          own.set(own.add(count));
        });
      });
    });
    const tilesOf = own.add(rowTile - 1).div(rowTile);
    const [pairsTo, tilesTo] = [k.var('u32', own), k.var('u32', tilesOf)];
    k.section('sums over experts', () => {
      let side = 0;
      for (let distance = 1; distance < experts; distance *= 2) {
        k.shared.scan.at(side, expert, 0).storeVec([pairsTo, tilesTo]);
        k.barrier();
        k.if(expert.ge(distance), () => {
          const [pairs, tiles] = k.shared.scan.at(side, expert.sub(distance), 0).loadVec(2);
          pairsTo.set(pairsTo.add(pairs));
          tilesTo.set(tilesTo.add(tiles));
        });
        side = 1 - side;
      }
    });
    const first = pairsTo.sub(own);
    k.section('tiles', () => {
      k.if(isOwner, () => {
        k.for({ to: used, unroll: false }, (w) => {
          const at = k.shared.counts.at(w, expert);
          at.store(at.load().add(first));
        });
        const tile = k.var('u32', tilesTo.sub(tilesOf));
        k.for({ from: first, to: pairsTo, step: rowTile, unroll: false }, (place) => {
          const to = p.tiles.at(tile.mul(tileWords));
          to.at(0).store(expert);
          to.at(1).store(place);
          to.at(2).store(pairsTo.sub(place).min(rowTile));
          tile.set(tile.add(1));
        });
      });
      k.if(expert.eq(experts - 1), () => {
        p.numTiles.at(0).store(tilesTo);
        p.numTiles.at(1).store(pairsTo);
      });
      k.barrier();
    });
    k.section('order', () => {
      eachPair(({ pair, isExpert, place }) => {
        k.if(isExpert, () => p.order.at(place).store(pair));
      });
    });
  });
}
