import type { Ops, TensorMap, Value } from '@flash-mla/ptx';
import { ringPlace } from './ring.ts';
import {
  depthOf,
  type ProductElement,
  type ProductShared,
  type ProductTile,
  rowBytes,
  stageBytes,
  type TilePlace,
  type Walk,
} from './tile.ts';

/** A run of rows of an operand. */
export interface OperandRows {
  readonly count: number;
  /** Where it begins, along all dimensions of the map but the depth. */
  readonly at: readonly [Value<'u32'>, ...Value<'u32'>[]];
}

/** An operand: (depth, rows, …), and what of it a tile has. What CTAs share is one run along its rows. */
export interface Operand<P extends TilePlace, E extends ProductElement = 'bf16'> {
  readonly map: TensorMap<E>;
  rowsOf(place: P): readonly OperandRows[];
}

/** What tiles are made of: `a` is the rows of multiplications, `b` their columns. */
export interface Operands<P extends TilePlace, E extends ProductElement = 'bf16'> {
  readonly walk: Walk<P>;
  readonly a: Operand<P, E>;
  readonly b: Operand<P, E>;
  readonly depth: Value<'u32'>;
  /** What comes into a stage beside `a` and `b`, with what of them is not asked for ahead. */
  readonly more?: {
    readonly bytes: number;
    copy(stage: Value<'u32'>, place: P, at: Value<'u32'>): void;
  };
  /**
   * What may be fetched before the kernels ahead have ended, unless a condition says no. Absent: all has been
   * waited for.
   */
  readonly early?: { readonly operand: 'a' | 'b'; readonly isAllowed?: Value<'pred'> };
}

/**
 * Brings the operands of all tiles of a CTA; a whole warp, of which one lane starts the copies. What the
 * CTAs of a cluster share each brings a part of, for all of them.
 */
export function produce<P extends TilePlace, E extends ProductElement>(
  k: Ops,
  shared: ProductShared<E>,
  tile: ProductTile<E>,
  { walk, a, b, depth, more, early }: Operands<P, E>,
): void {
  const { element, cluster, shares, stages } = tile;
  const depthTile = depthOf(element);
  const bytes = stageBytes(tile) + (more?.bytes ?? 0);
  const rank = cluster > 1 ? k.clusterCtaRank : undefined;
  const isLeader = k.electSync();
  const ring = ringPlace(k, stages, 1);
  const copy = (which: 'a' | 'b', stage: Value<'u32'>, place: P, at: Value<'u32'>) => {
    const { map, rowsOf } = which === 'a' ? a : b;
    const full = shared.full.at(stage);
    const isShared = (which === 'b') === (shares === 'weights');
    let first = 0;
    for (const { count, at: start } of rowsOf(place)) {
      const target = shared[which].tile(stage, 0).bytes(first * rowBytes);
      first += count;
      if (rank === undefined || !isShared) {
        k.tensorLoad(target, map, [at, ...start], full);
        continue;
      }
      const own = rank.mul(count / cluster);
      const multicast = 2 ** cluster - 1;
      const [row, ...others] = start;
      const to = target.bytes(own.mul(rowBytes));
      k.tensorLoad(to, map, [at, row.add(own), ...others], full, { multicast });
    }
  };
  const [ahead, behind] = early?.operand === 'a' ? (['a', 'b'] as const) : (['b', 'a'] as const);
  // Steps of the first tile that the ring takes have one operand asked for before all others.
  const hasBegun = k.var('u32', 0).named('has_begun');
  walk((place) => {
    const isFirst = hasBegun.eq(0);
    const head = depth
      .add(depthTile - 1)
      .div(depthTile)
      .min(stages);
    const announce = (stage: Value<'u32'>, at: Value<'u32'>) => {
      k.mbarrierArriveExpectTx(shared.full.at(stage), bytes);
      copy(ahead, stage, place, at);
    };
    k.if(
      isFirst,
      () => {
        if (early?.isAllowed) {
          k.if(early.isAllowed.not(), () => k.waitForDependencies(), { uniform: true });
        }
        k.if(isLeader, () => {
          k.for({ to: head, unroll: false }, (i) => announce(i, i.mul(depthTile)));
        });
        if (early) k.waitForDependencies();
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
      k.if(isLeader, () => {
        copy(behind, ring.stage, place, at);
        more?.copy(ring.stage, place, at);
      });
      ring.advance();
    });
    hasBegun.set(1);
  });
}
