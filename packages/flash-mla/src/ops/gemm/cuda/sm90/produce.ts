import type { Ops, TensorMap, Value } from '@flash-mla/ptx';
import { ringPlace } from './ring.ts';
import { depthTile, type GemmShared, type GemmTile, stageBytes } from './tile.ts';
import { eachTile, type WalkSizes } from './walk.ts';

/** What tiles are made of. */
export interface Operands {
  /** (depth, rows, batch) and (depth, columns, batch). */
  readonly x: TensorMap<'bf16'>;
  readonly weight: TensorMap<'bf16'>;
  readonly depth: Value<'u32'>;
  readonly batch: Value<'u32'>;
  /** Whether weights may be fetched before the kernels ahead have ended. */
  readonly fetchesEarly: Value<'pred'>;
}

/**
 * Brings the operands of all tiles of a CTA; a whole warp, of which one lane starts the copies. What the
 * CTAs of a cluster share each brings a part of, for all of them.
 */
export function produce(
  k: Ops,
  shared: GemmShared,
  tile: GemmTile,
  sizes: WalkSizes,
  { x, weight, depth, batch, fetchesEarly }: Operands,
): void {
  const { cluster, shares, stages } = tile;
  const rank = cluster > 1 ? k.clusterCtaRank : undefined;
  const isLeader = k.electSync();
  const ring = ringPlace(k, stages, 1);
  const copy = (to: 'a' | 'b', stage: Value<'u32'>, first: Value<'u32'>, at: Value<'u32'>) => {
    const map = to === 'a' ? x : weight;
    const full = shared.full.at(stage);
    const place = shared[to].tile(stage, 0);
    const rows = to === 'a' ? tile.rows : tile.columns;
    const isShared = cluster > 1 && (to === 'b') === (shares === 'weights');
    if (!isShared || rank === undefined) {
      k.tensorLoad(place, map, [at, first, batch], full);
      return;
    }
    const part = rows / cluster;
    const own = rank.mul(part);
    const multicast = 2 ** cluster - 1;
    k.tensorLoad(place.bytes(own.mul(depthTile * 2)), map, [at, first.add(own), batch], full, {
      multicast,
    });
  };
  // Steps whose weights have been asked for already: those of the first tile that the ring takes.
  const ahead = k.var('u32', 0).named('ahead');
  eachTile(k, tile, sizes, ({ row, column }) => {
    const isFirst = ahead.eq(0);
    const head = depth
      .add(depthTile - 1)
      .div(depthTile)
      .min(stages);
    const announce = (stage: Value<'u32'>, at: Value<'u32'>) => {
      k.mbarrierArriveExpectTx(shared.full.at(stage), stageBytes(tile));
      copy('b', stage, column, at);
    };
    k.if(
      isFirst,
      () => {
        k.if(fetchesEarly.not(), () => k.waitForDependencies(), { uniform: true });
        k.if(isLeader, () => {
          k.for({ to: head, unroll: false }, (i) => announce(i, i.mul(depthTile)));
        });
        k.waitForDependencies();
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
      k.if(isLeader, () => copy('a', ring.stage, row, at));
      ring.advance();
    });
    ahead.set(1);
  });
}
