import type { Ops, SharedArray, Value, Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import {
  type Fragment,
  leftFragments,
  rightFragments,
  rowBytes,
} from '../../../../kernel-lib/cuda/sm80/fragments.ts';
import { type MhaShared, type MhaTile, mhaShape } from './tile.ts';

/** Accumulators of 16 rows × 8 columns each: [row tile][8 columns][4]. */
export type Accumulators = readonly (readonly (readonly Var<'f32'>[])[])[];

export const accumulators = (k: Ops, tile: MhaTile, columns: number): Accumulators =>
  Array.from({ length: tile.rowTiles }, () =>
    Array.from({ length: columns / 8 }, () => k.vars('f32', 4, 0)),
  );

/** The query fragments of the warp at a step of the depth, one per row tile. */
export type QueryFragments = (step: number) => readonly (readonly Fragment[])[];

/** Reads query fragments from shared memory. */
function readQueries(k: Ops, tile: MhaTile, source: SharedArray<Element>): QueryFragments {
  const row = k.mad(k.warpId, mhaShape(tile).rowsPerWarp, k.laneId.and(15));
  const rows = leftFragments(k, source.row(row));
  return (step) =>
    Array.from({ length: tile.rowTiles }, (_, m) =>
      k.ldmatrix(rows.at(16 * step).bytes(16 * m * rowBytes(source)), 4),
    );
}

/** The query fragments that live in registers, from where they pass through shared memory. */
export function loadQueries(k: Ops, tile: MhaTile, shared: MhaShared): QueryFragments {
  const read = readQueries(k, tile, shared.tiles.passing);
  const loaded = Array.from({ length: mhaShape(tile).depth / 16 }, (_, step) => read(step));
  return (step) => loaded[step];
}

/** q·k of the warp's rows and the tokens of a stage; queries that are not loaded are read. */
export function scoresOf(
  k: Ops,
  tile: MhaTile,
  shared: MhaShared,
  loaded: QueryFragments | undefined,
  stage: Value<'u32'>,
): Accumulators {
  const { keys } = shared.tiles.stages;
  const query = loaded ?? readQueries(k, tile, shared.query);
  const scores = accumulators(k, tile, tile.tokens);
  const tokens = rightFragments(k, (token) => keys.row(stage, token));
  for (let step = 0; step < mhaShape(tile).depth / 16; step++) {
    const left = query(step);
    for (let j = 0; j < tile.tokens; j += 16) {
      const [b0, b1, b2, b3] = k.ldmatrix(tokens.at(16 * step).bytes(j * rowBytes(keys)), 4);
      scores.forEach((acc, m) => {
        k.mma(tile.element, acc[j / 8], left[m], [b0, b1]);
        k.mma(tile.element, acc[j / 8 + 1], left[m], [b2, b3]);
      });
    }
  }
  return scores;
}

/** Up to which token the rows of a warp see. */
export interface RowLimits {
  /** All rows see the tokens below this. */
  readonly all: Value<'u32'>;
  /** No row sees the tokens from here on. */
  readonly any: Value<'u32'>;
  /** The lane's rows see the tokens below these: [row tile][2]. Computed where they are needed. */
  rows(): readonly (readonly Value<'u32'>[])[];
}

/** Hides tokens at or beyond the rows' limits. Few tiles have any. */
export function hideBeyond(
  k: Ops,
  tile: MhaTile,
  t: Value<'u32'>,
  scores: Accumulators,
  limits: RowLimits,
): void {
  const first = t.mul(tile.tokens);
  const hides = first.add(tile.tokens).gt(limits.all);
  const hide = () => {
    const column = first.add(k.laneId.and(3).shl(1));
    const rows = limits.rows();
    scores.forEach((rowScores, m) => {
      rowScores.forEach((acc, j) => {
        acc.forEach((s, i) => {
          const isSeen = column.add(8 * j + (i & 1)).lt(rows[m][i >> 1]);
          s.set(k.select(isSeen, s, Number.NEGATIVE_INFINITY));
        });
      });
    });
  };
  k.if(hides, hide, { uniform: true });
}
