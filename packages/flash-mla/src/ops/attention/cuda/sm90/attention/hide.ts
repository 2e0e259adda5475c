import type { Ops, Value, Var } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import type { Params } from './params.ts';
import { boxTokens, type HopperMhaConfig } from './tile.ts';
import { seenBy, type TileWork } from './work.ts';

/** Where a consumer's rows are in its tile, and what its first row sees. */
export interface SeenKeys {
  readonly work: TileWork;
  /** Keys that all rows of the consumer see. */
  readonly byAll: Value<'u32'>;
  /** The first of the lane's two rows in the tile. */
  readonly row: Value<'u32'>;
}

/** The query of a row of a tile. */
export const queryOf = ({ tile }: HopperMhaConfig, row: Value<'u32'>): Value<'u32'> =>
  row.shr(Math.log2(tile.heads));

/** Hides the keys of a block that a row must not see. Few blocks have any. */
export function hideUnseen(
  k: Ops,
  config: HopperMhaConfig,
  p: Params,
  { column }: ConsumerPlace,
  { work, byAll, row }: SeenKeys,
  block: Value<'u32'>,
  scores: readonly Var<'f32'>[],
): void {
  const { tokens } = config.tile;
  const first = block.mul(tokens);
  k.if(
    first.add(tokens).gt(byAll),
    () => {
      // Relative to the lane's first column; as signed numbers, since a row may see less than the columns before.
      const limits = [0, 8].map((r) =>
        seenBy(p, work, queryOf(config, row.add(r)))
          .as('s32')
          .sub(first.add(column).as('s32')),
      );
      scores.forEach((score, i) => {
        const isSeen = limits[(i >> 1) & 1].gt((i >> 2) * 8 + (i & 1));
        score.set(k.select<'f32'>(isSeen, score, Number.NEGATIVE_INFINITY));
      });
    },
    { uniform: true },
  );
}

/** Hides the keys of pages that the cache does not have: a bit each in `missing`. */
export function hideMissing(
  k: Ops,
  config: HopperMhaConfig,
  missing: Value<'u32'>,
  scores: readonly Var<'f32'>[],
): void {
  k.if(
    missing.ne(0),
    () => {
      scores.forEach((score, i) => {
        const page = Math.floor(((i >> 2) * 8) / boxTokens(config));
        const isThere = missing.and(1 << page).eq(0);
        score.set(k.select<'f32'>(isThere, score, Number.NEGATIVE_INFINITY));
      });
    },
    { uniform: true },
  );
}
