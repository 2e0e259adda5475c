import type { Ops, Value, Var } from '@flash-mla/ptx';
import { leftFragments, rowBytes } from './fragments.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import { type MlaTile, tileShape } from './tile.ts';

/** All rows of the CTA × the warp's columns of V: [row tile][8 columns][4]. */
export type Outputs = readonly (readonly (readonly Var<'f32'>[])[])[];

export function newOutputs(k: Ops, tile: MlaTile): Outputs {
  const { rowTiles, columnsPerWarp } = tileShape(tile);
  return Array.from({ length: rowTiles }, () =>
    Array.from({ length: columnsPerWarp / 8 }, () => k.vars('f32', 4, 0)),
  );
}

/** The factors in `rowScale` of the rows that this lane's outputs belong to: [row tile][2]. */
function outputFactors(tile: MlaTile, shared: MlaShared, lane: Value<'u32'>) {
  const first = lane.shr(2);
  return Array.from({ length: tileShape(tile).rowTiles }, (_, t) =>
    [0, 8].map((r) => shared.rowScale.at(first.add(16 * t + r)).load()),
  );
}

function scaleBy(outputs: Outputs, factors: readonly (readonly Value<'f32'>[])[]): void {
  outputs.forEach((tileOutputs, t) => {
    for (const acc of tileOutputs) {
      acc.forEach((o, i) => {
        o.set(o.mul(factors[t][i >> 1]));
      });
    }
  });
}

/** Multiplies each row of the outputs by its factor in `rowScale`. */
export function scaleOutputs(
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  outputs: Outputs,
): void {
  scaleBy(outputs, outputFactors(tile, shared, place.lane));
}

/** Rescales the outputs where a row's reference has moved, which is rare. */
function rescaleOutputs(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  outputs: Outputs,
): void {
  const { rowTiles } = tileShape(tile);
  const moved = Array.from({ length: rowTiles }, (_, t) => shared.moved.at(t).load());
  const any = moved.reduce((a, b) => a.or(b)).ne(0);
  k.if(any, () => scaleOutputs(tile, shared, place, outputs), { uniform: true });
}

/** outputs += weights × V of one stage, after rescaling them where rows ask for it. */
export function addWeightedValues(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  outputs: Outputs,
  stage: Value<'u32'>,
): void {
  const { columnsPerWarp } = tileShape(tile);
  const { weights } = shared.scratch;
  const rows = leftFragments(k, weights.row(place.lane.and(15)));
  const token = place.lane.and(15);
  const row = shared.keys.row(stage, token);
  const column = k.mad(place.warp, columnsPerWarp, place.lane.shr(4).shl(3));
  const columns = Array.from({ length: columnsPerWarp / 16 }, (_, j) => row.at(column.add(16 * j)));
  for (let t = 0; t < tile.tokens; t += 16) {
    const left = outputs.map((_, i) => k.ldmatrix(rows.at(t).bytes(16 * i * rowBytes(weights)), 4));
    // Behind the first loads, so that nobody waits for this alone.
    if (t === 0) rescaleOutputs(k, tile, shared, place, outputs);
    columns.forEach((at, j) => {
      const [b0, b1, b2, b3] = k.ldmatrix(at.bytes(t * rowBytes(shared.keys)), 4, { trans: true });
      outputs.forEach((acc, i) => {
        k.mma(tile.element, acc[2 * j], left[i], [b0, b1]);
        k.mma(tile.element, acc[2 * j + 1], left[i], [b2, b3]);
      });
    });
  }
}
