import type { Ops, Value } from '@flash-mla/ptx';
import type { ScoreMask } from './keys.ts';
import { hideMissing } from './page-table.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import { type MlaTile, tileShape } from './tile.ts';

const never = Number.NEGATIVE_INFINITY;

/** Up to which token the rows see. */
export interface RowLimits {
  /** All rows see the tokens below this. */
  readonly all: Value<'u32'>;
  /** This row sees the tokens below. Computed where it is needed, which is rare. */
  ofRow(row: Value<'u32'>): Value<'u32'>;
}

/** Hides tokens at or beyond the rows' limits, and those in no page. Few tiles have any. */
export function maskBeyond(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  limits: RowLimits,
): ScoreMask {
  const column = () => k.mad(place.group, tileShape(tile).tokensPerWarp, place.column);
  return (t, stage, scores) => {
    hideMissing(k, shared, biasSlot(tile, t, stage), column, scores);
    const first = t.mul(tile.tokens);
    const hides = first.add(tile.tokens).gt(limits.all);
    const hide = () => {
      const rows = [place.row, place.row.add(8)].map(limits.ofRow);
      const own = first.add(column());
      scores.forEach((acc, j) => {
        acc.forEach((s, i) => {
          const token = own.add(8 * j + (i & 1));
          s.set(k.select(token.lt(rows[i >> 1]), s, never));
        });
      });
    };
    k.if(hides, hide, { uniform: true });
  };
}

/**
 * Where the biases of a tile are: in its stage. Packed rows have one stage but are on their way while
 * the tile before is used, so their biases take turns.
 */
export function biasSlot(tile: MlaTile, t: Value<'u32'>, stage: Value<'u32'>): Value<'u32'> {
  return tile.packedSlots > 0 ? t.and(1) : stage;
}

/** Hides missing tokens by the bias that their copying left behind. */
export function maskMissing(k: Ops, tile: MlaTile, shared: MlaShared, place: WarpPlace): ScoreMask {
  return (t, stage, scores) => {
    const slot = biasSlot(tile, t, stage);
    const column = k.mad(place.group, tileShape(tile).tokensPerWarp, place.column);
    scores.forEach((acc, j) => {
      const bias = shared.tokenBias.at(slot, column.add(8 * j)).loadVec(2);
      acc.forEach((s, i) => {
        s.addTo(bias[i & 1]);
      });
    });
  };
}
