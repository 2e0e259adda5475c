import type { Ops, Value, Var } from '@flash-mla/ptx';
import {
  type Fragment,
  leftFragments,
  rowBytes,
  type ValueUnit,
} from '../../../../kernel-lib/cuda/sm80/fragments.ts';
import { type Load, loadingAhead, type Steps } from '../../../../kernel-lib/cuda/sm80/steps.ts';
import type { WarpPlace } from './place.ts';
import { rawValueLoads } from './raw-fragments.ts';
import type { MlaShared } from './shared.ts';
import { type MlaTile, tileShape } from './tile.ts';

/** All rows of the CTA × the warp's columns of V: [row tile][8 columns][4]. */
export type Outputs = readonly (readonly (readonly Var<'f32'>[])[])[];

/** A lane's two rows of every row tile. */
export const pair = [0, 1] as const;

/** Neighbouring columns that a lane holds. */
export const columnsAtOnce = (tile: MlaTile): 2 | 4 => (tile.rawKeys ? 4 : 2);

/**
 * The lane's columns of one of its two rows in a row tile, in runs of neighbours: where each starts,
 * counted from the lane's first column. Of raw keys one accumulator holds the even columns of 16, the
 * next the odd ones.
 */
export function outputRuns(
  tile: MlaTile,
  outputs: Outputs[number],
  r: 0 | 1,
): { readonly first: number; readonly values: readonly Value<'f32'>[] }[] {
  const pairs = outputs.map((acc) => [acc[2 * r], acc[2 * r + 1]]);
  if (!tile.rawKeys) return pairs.map((values, j) => ({ first: 8 * j, values }));
  return Array.from({ length: pairs.length / 2 }, (_, g) => {
    const [even, odd] = [pairs[2 * g], pairs[2 * g + 1]];
    return { first: 16 * g, values: [even[0], odd[0], even[1], odd[1]] };
  });
}

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
export function* addWeightedValues(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  outputs: Outputs,
  stage: Value<'u32'>,
): Steps {
  const { weights } = shared.scratch;
  const rows = leftFragments(k, weights.row(place.lane.and(15)));
  const units = valueUnits(k, tile, shared, place, stage);
  for (let t = 0; t < tile.tokens; t += 16) {
    const left = outputs.map((_, i) => k.ldmatrix(rows.at(t).bytes(16 * i * rowBytes(weights)), 4));
    // Behind the first loads, so that nobody waits for this alone.
    if (t === 0) rescaleOutputs(k, tile, shared, place, outputs);
    for (const unit of units(t)) {
      for (const { columns, right } of unit) {
        outputs.forEach((acc, i) => {
          k.mma(tile.element, acc[columns], left[i], right);
        });
      }
      yield;
    }
  }
}

/** Which part of a tile's values to add: steps of 16 tokens, the end exclusive. */
export interface ValueSteps {
  readonly from: number;
  readonly to: number;
  /** Whether they are the tile's first, before which the outputs are rescaled. */
  readonly rescale: boolean;
}

/** The same of raw keys, for some of a tile's steps. */
export function* addRawValues(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  outputs: Outputs,
  stage: Value<'u32'>,
  { from, to, rescale }: ValueSteps,
): Steps {
  const [acc] = outputs;
  const rows = leftFragments(k, shared.scratch.weights.row(place.lane.and(15)));
  const left: (readonly Fragment[])[] = [];
  // All at once: the weights may be gone when the last of them are multiplied.
  for (let step = from; step < to; step++) left[step] = k.ldmatrix(rows.at(16 * step), 4);
  if (rescale) {
    const moved = shared.moved.at(0).load();
    yield;
    const scale = () => scaleOutputs(tile, shared, place, outputs);
    k.if(moved.ne(0), scale, { uniform: true });
  }
  const loadsOf = rawValueLoads(k, tile, shared, place, stage);
  function* loads(): Generator<Load<() => void>> {
    for (let step = from; step < to; step++) {
      for (const load of loadsOf(16 * step)) {
        yield () => {
          const unit = load();
          return () => () => {
            for (const { columns, right } of unit()) {
              k.mma(tile.element, acc[columns], left[step], right);
            }
          };
        };
      }
    }
  }
  for (const multiply of loadingAhead(loads(), tile.loadsAhead)) {
    multiply();
    yield;
  }
}

/** Right operands of weights · V: of 16 tokens, 16 of the warp's columns at a time. */
function valueUnits(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: Value<'u32'>,
): (firstToken: number) => Generator<ValueUnit> {
  const { columnsPerWarp } = tileShape(tile);
  const row = shared.keys.row(stage, place.lane.and(15));
  const column = k.mad(place.warp, columnsPerWarp, place.lane.shr(4).shl(3));
  const columns = Array.from({ length: columnsPerWarp / 16 }, (_, j) => row.at(column.add(16 * j)));
  return function* (firstToken) {
    for (const [j, at] of columns.entries()) {
      const from = at.bytes(firstToken * rowBytes(shared.keys));
      const [b0, b1, b2, b3] = k.ldmatrix(from, 4, { trans: true });
      yield [
        { columns: 2 * j, right: [b0, b1] },
        { columns: 2 * j + 1, right: [b2, b3] },
      ];
    }
  };
}
