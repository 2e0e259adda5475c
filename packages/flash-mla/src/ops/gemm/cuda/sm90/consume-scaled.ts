import type { Ops, Pointer, SharedAccess, Value, Var } from '@flash-mla/ptx';
import { field } from '@flash-mla/ptx';
import { release, ringPlace } from '../../../kernel-lib/cuda/sm90/products/ring.ts';
import {
  depthOf,
  type ProductTile,
  productLayout,
  type TilePlace,
  type Walk,
} from '../../../kernel-lib/cuda/sm90/products/tile.ts';

/** The stages of e4m3 operands, with the scales of their rows. */
export function scaledLayout(tile: ProductTile<'e4m3'>) {
  return {
    ...productLayout(tile),
    rowScales: field('f32', [tile.stages, tile.rows], { align: 128 }),
  };
}

export type ScaledShared = SharedAccess<ReturnType<typeof scaledLayout>>;

/** What a warp group multiplies. */
export interface ScaledMultiplication {
  readonly walk: Walk<TilePlace>;
  readonly depth: Value<'u32'>;
  /** Its number among those that multiply. */
  readonly group: Value<'u32'>;
  /** f32 (⌈columns / 128⌉, depth / 128), and the elements between its rows. */
  readonly weightScales: Pointer<'global', 'f32'>;
  readonly scalesStride: Value<'u32'>;
  readonly columns: Value<'u32'>;
}

const depthTile = depthOf('e4m3');
/** Depth of one multiplication of e4m3. */
const stepDepth = 32;

/**
 * Multiplies all tiles of a CTA; a whole warp group, which has 64 rows of each. What 128 of the depth add up
 * to is multiplied by the scales of row and weights in float32: the tensor cores add up e4m3 less exactly.
 */
export function consumeScaled(
  k: Ops,
  shared: ScaledShared,
  tile: ProductTile<'e4m3'>,
  { walk, depth, group, weightScales, scalesStride, columns }: ScaledMultiplication,
  finish: (sums: readonly Var<'f32'>[], place: TilePlace) => void,
): void {
  const { cluster, stages } = tile;
  const sums = k.vars('f32', tile.columns / 2);
  const parts = k.vars('f32', tile.columns / 2);
  const ring = ringPlace(k, stages, 0);
  const firstRow = group.mul(64);
  const ownRow = firstRow
    .add(k.threadIdx.x.shr(5).and(3).shl(4))
    .add(k.laneId.shr(2))
    .named('own_row');
  const blocks = depth.div(depthTile);
  walk(({ column, row, batch }) => {
    for (const sum of sums) sum.set(k.constant('f32', 0));
    // Tiles of a cluster may begin beyond the end.
    const ofColumns = column.min(columns.sub(1)).shr(7);
    const scales = weightScales.at(k.mulWide(ofColumns, scalesStride));
    // Of each 32 blocks of the depth a lane has one's scale.
    const ofLane = k.var('f32', 0);
    k.for({ to: blocks, name: 'block', uniform: true, unroll: false }, (block) => {
      const within = block.and(31);
      k.if(
        within.eq(0),
        () => ofLane.set(scales.at(block.add(k.laneId).min(blocks.sub(1))).load({ nc: true })),
        { uniform: true },
      );
      const ofWeights = k.shuffle(ofLane, within);
      k.mbarrierWait(shared.full.at(ring.stage), ring.parity, { cluster: cluster > 1 });
      k.wgmmaFence();
      const a = shared.a.kMajor(ring.stage, firstRow, 0);
      const b = shared.b.kMajor(ring.stage, 0, 0);
      for (let d = 0; d < depthTile; d += stepDepth) {
        k.wgmma('e4m3', parts, a.at(0, d), b.at(0, d), { accumulate: d > 0 });
      }
      k.wgmmaCommit();
      const factors = [0, 8].map((half) =>
        shared.rowScales.at(ring.stage, ownRow.add(half)).load().mul(ofWeights),
      );
      k.wgmmaWait(0);
      release(k, shared, ring.stage, cluster);
      ring.advance();
      sums.forEach((sum, i) => {
        const factor = factors[(i >> 1) & 1] as Value<'f32'>;
        sum.set(k.fma(parts[i] as Value<'f32'>, factor, sum));
      });
    });
    finish(sums, { row, column, batch });
  });
}
