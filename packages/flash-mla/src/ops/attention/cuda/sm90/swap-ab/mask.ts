import type { Ops, Value, Var } from '@flash-mla/ptx';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import type { Blocks } from '../dense/mask.ts';
import { limitsOf } from '../dense/missing-pages.ts';
import { tileTokens } from '../dense/tile.ts';
import { queryRow, registersOf } from './row-state.ts';

/**
 * Hides the tokens of a block that a row must not see, and those that are not the piece's.
 */
export function maskScores(
  k: Ops,
  place: ConsumerPlace,
  blocks: Blocks,
  scores: readonly Var<'f32'>[],
  block: Value<'u32'>,
): void {
  const first = block.mul(tileTokens);
  const end = blocks.to.mul(tileTokens);
  const hide = () => {
    const token = first.add(place.row);
    const limitOf = limitsOf(k, blocks, block, blocks.length());
    for (let r = 0; r < scores.length / 2; r++) {
      const limit = limitOf(queryRow(place, r)).min(end);
      registersOf(r).forEach((i, half) => {
        const isSeen = token.add(8 * half).lt(limit);
        scores[i].set(k.select<'f32'>(isSeen, scores[i], Number.NEGATIVE_INFINITY));
      });
    }
  };
  k.if(first.add(tileTokens).gt(blocks.seenByAll.min(end)), hide, { uniform: true });
}
