import type { Ops, Value } from '@flash-mla/ptx';
import { ColumnWalk, rowBytes } from '../../../../kernel-lib/cuda/sm80/fragments.ts';
import type { Accumulators } from './scores.ts';
import type { Weights } from './softmax.ts';
import { type MhaShared, type MhaTile, mhaShape } from './tile.ts';

/** Multiplies the outputs of each row by its factor: [row tile][2]. */
export function scaleOutputs(
  outputs: Accumulators,
  factors: readonly (readonly Value<'f32'>[])[],
): void {
  outputs.forEach((rowOutputs, m) => {
    for (const acc of rowOutputs) {
      acc.forEach((o, i) => {
        o.set(o.mul(factors[m][i >> 1]));
      });
    }
  });
}

/** Rescales the outputs where a row's reference has moved, which is rare. */
export function rescaleOutputs(k: Ops, outputs: Accumulators, { factors }: Weights): void {
  const moved = factors
    .flat()
    .map((f) => f.ne(1))
    .reduce((a, b) => a.or(b));
  k.if(k.any(moved), () => scaleOutputs(outputs, factors), { uniform: true });
}

/** outputs += weights × V of a stage. */
export function addWeightedValues(
  k: Ops,
  tile: MhaTile,
  shared: MhaShared,
  outputs: Accumulators,
  { fragments }: Weights,
  stage: Value<'u32'>,
): void {
  const { values } = shared.tiles.stages;
  const lane = k.laneId;
  const walk = new ColumnWalk(values.row(stage, lane.and(15)), lane.shr(4).shl(3));
  for (let t = 0; t < tile.tokens; t += 16) {
    for (let column = 0; column < mhaShape(tile).columns; column += 16) {
      const at = walk.at(column).bytes(t * rowBytes(values));
      const [b0, b1, b2, b3] = k.ldmatrix(at, 4, { trans: true });
      outputs.forEach((acc, m) => {
        k.mma(tile.element, acc[column / 8], fragments[m][t / 16], [b0, b1]);
        k.mma(tile.element, acc[column / 8 + 1], fragments[m][t / 16], [b2, b3]);
      });
    }
  }
}
