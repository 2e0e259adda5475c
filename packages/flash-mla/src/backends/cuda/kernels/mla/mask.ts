import type { Ops, Value } from '@flash-mla/ptx';
import type { ScoreMask } from './keys.ts';
import type { MissingPages } from './page-table.ts';
import type { WarpPlace } from './place.ts';
import type { Scores } from './scores.ts';
import type { MlaShared } from './shared.ts';
import { type MlaTile, tileShape } from './tile.ts';

const never = Number.NEGATIVE_INFINITY;

/** Hides tokens at or beyond the rows' limits, and those in no page. Few tiles have any. */
export function maskBeyond(
  k: Ops,
  tile: MlaTile,
  place: WarpPlace,
  missing: MissingPages,
  /** This row sees the tokens below. Computed where it is needed, which is rare. */
  limitOfRow: (row: Value<'u32'>) => Value<'u32'>,
): ScoreMask {
  return (t, _stage, scores) => {
    const first = t.mul(tile.tokens);
    const seenByAll = missing.seenByAll();
    const hides = first.add(tile.tokens).gt(seenByAll);
    const hide = () => {
      const rows = [place.row, place.row.add(8)].map(limitOfRow);
      const column = k.mad(place.group, tileShape(tile).tokensPerWarp, place.column);
      scores.forEach((acc, j) => {
        acc.forEach((s, i) => {
          const token = first.add(column).add(8 * j + (i & 1));
          s.set(k.select(token.lt(rows[i >> 1]), s, never));
        });
      });
      k.if(seenByAll.eq(0), () => hideMissing(k, missing, first, column, scores), { uniform: true });
    };
    k.if(hides, hide, { uniform: true });
  };
}

/** Hides the tokens of a tile that lie in no page; a lane has pairs of neighbouring ones in every 8. */
export function hideMissing(
  k: Ops,
  missing: MissingPages,
  first: Value<'u32'>,
  column: Value<'u32'>,
  scores: Scores,
): void {
  const hideWhere = (isMissing: Value<'pred'>, hidden: readonly Scores[number][number][]) => {
    for (const s of hidden) s.set(k.select(isMissing, never, s));
  };
  if (missing.onePage) {
    hideWhere(missing.isMissing(first), scores.flat());
    return;
  }
  scores.forEach((acc, j) => {
    for (const c of [0, 1]) {
      const token = first.add(column).add(8 * j + c);
      hideWhere(
        missing.isMissing(token),
        acc.filter((_, i) => (i & 1) === c),
      );
    }
  });
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
