import type { Ops, TensorMap, Value } from '@flash-mla/ptx';
import { ringPlace } from './ring.ts';
import {
  depthTile,
  type ProductShared,
  type ProductTile,
  stageBytes,
  type TilePlace,
  type Walk,
} from './tile.ts';

const rowBytes = depthTile * 2;

/** Rows of a matrix of an operand: of its third dimension, from `row` on. */
export interface OperandRows {
  readonly count: number;
  readonly row: Value<'u32'>;
  readonly batch: Value<'u32'>;
}

/** An operand: (depth, rows, matrices), and what of it a tile has. What CTAs share is one run of rows. */
export interface Operand<P extends TilePlace> {
  readonly map: TensorMap<'bf16'>;
  rowsOf(place: P): readonly OperandRows[];
}

/** What tiles are made of. */
export interface Operands<P extends TilePlace> {
  readonly walk: Walk<P>;
  readonly x: Operand<P>;
  readonly weight: Operand<P>;
  readonly depth: Value<'u32'>;
  /**
   * Whether weights may be fetched before the kernels ahead have ended; absent: all has been waited for.
   */
  readonly fetchesEarly?: Value<'pred'>;
}

/**
 * Brings the operands of all tiles of a CTA; a whole warp, of which one lane starts the copies. What the
 * CTAs of a cluster share each brings a part of, for all of them.
 */
export function produce<P extends TilePlace>(
  k: Ops,
  shared: ProductShared,
  tile: ProductTile,
  { walk, x, weight, depth, fetchesEarly }: Operands<P>,
): void {
  const { cluster, shares, stages } = tile;
  const rank = cluster > 1 ? k.clusterCtaRank : undefined;
  const isLeader = k.electSync();
  const ring = ringPlace(k, stages, 1);
  const copy = (to: 'a' | 'b', stage: Value<'u32'>, place: P, at: Value<'u32'>) => {
    const { map, rowsOf } = to === 'a' ? x : weight;
    const full = shared.full.at(stage);
    const isShared = (to === 'b') === (shares === 'weights');
    let first = 0;
    for (const { count, row, batch } of rowsOf(place)) {
      const target = shared[to].tile(stage, 0).bytes(first * rowBytes);
      first += count;
      if (rank === undefined || !isShared) {
        k.tensorLoad(target, map, [at, row, batch], full);
        continue;
      }
      const own = rank.mul(count / cluster);
      const multicast = 2 ** cluster - 1;
      k.tensorLoad(target.bytes(own.mul(rowBytes)), map, [at, row.add(own), batch], full, {
        multicast,
      });
    }
  };
  // Steps whose weights have been asked for already: those of the first tile that the ring takes.
  const ahead = k.var('u32', 0).named('ahead');
  walk((place) => {
    const isFirst = ahead.eq(0);
    const head = depth
      .add(depthTile - 1)
      .div(depthTile)
      .min(stages);
    const announce = (stage: Value<'u32'>, at: Value<'u32'>) => {
      k.mbarrierArriveExpectTx(shared.full.at(stage), stageBytes(tile));
      copy('b', stage, place, at);
    };
    k.if(
      isFirst,
      () => {
        if (fetchesEarly) {
          k.if(fetchesEarly.not(), () => k.waitForDependencies(), { uniform: true });
        }
        k.if(isLeader, () => {
          k.for({ to: head, unroll: false }, (i) => announce(i, i.mul(depthTile)));
        });
        if (fetchesEarly) k.waitForDependencies();
      },
      { uniform: true },
    );
    const steps = k.var('u32', k.select(isFirst, head, 0, 'u32'));
    k.for({ to: depth, step: depthTile, name: 'depth', uniform: true, unroll: false }, (at) => {
      const isAhead = steps.gt(0);
      k.if(
        isAhead,
        () => steps.set(steps.sub(1)),
        () => {
          const empty = shared.empty.at(ring.stage);
          k.mbarrierWait(empty, ring.parity, { cluster: cluster > 1 ? 'buffers' : false });
          k.if(isLeader, () => announce(ring.stage, at));
        },
        { uniform: true },
      );
      k.if(isLeader, () => copy('a', ring.stage, place, at));
      ring.advance();
    });
    ahead.set(1);
  });
}
