import type { Ops, Value, Var } from '@flash-mla/ptx';
import { release, ringPlace } from './ring.ts';
import {
  depthOf,
  type ProductShared,
  type ProductTile,
  type TilePlace,
  type Walk,
} from './tile.ts';

const depthTile = depthOf('bf16');
/** Depth of one multiplication of bf16. */
const stepDepth = 16;

/** What a warp group multiplies. */
export interface Multiplication<P extends TilePlace> {
  readonly walk: Walk<P>;
  readonly depth: Value<'u32'>;
  /** Its number among those that multiply. */
  readonly group: Value<'u32'>;
}

/**
 * Multiplies all tiles of a CTA; a whole warp group, which has 64 rows of each. `finish` gets
 * the sums of a tile, two neighbouring columns of each eight for two rows eight apart.
 */
export function consume<P extends TilePlace>(
  k: Ops,
  shared: ProductShared,
  tile: ProductTile,
  { walk, depth, group }: Multiplication<P>,
  finish: (sums: readonly Var<'f32'>[], place: P) => void,
): void {
  const { cluster, stages } = tile;
  const sums = k.vars('f32', tile.columns / 2);
  const ring = ringPlace(k, stages, 0);
  const firstRow = group.mul(64);
  walk((place) => {
    const before = k.var('u32', 0).named('before');
    const steps = { to: depth, step: depthTile, name: 'depth', uniform: true } as const;
    k.for({ ...steps, unroll: false }, (at) => {
      k.mbarrierWait(shared.full.at(ring.stage), ring.parity, { cluster: cluster > 1 });
      k.wgmmaFence();
      const a = shared.a.kMajor(ring.stage, firstRow, 0);
      const b = shared.b.kMajor(ring.stage, 0, 0);
      for (let d = 0; d < depthTile; d += stepDepth) {
        const accumulate = d > 0 ? true : at.ne(0);
        k.wgmma('bf16', sums, a.at(0, d), b.at(0, d), { accumulate });
      }
      k.wgmmaCommit();
      // The stage before is done with when its multiplications are.
      k.wgmmaWait(1);
      k.if(at.ne(0), () => release(k, shared, before, cluster), { uniform: true });
      before.set(ring.stage);
      ring.advance();
    });
    k.wgmmaWait(0);
    release(k, shared, before, cluster);
    finish(sums, place);
  });
}
