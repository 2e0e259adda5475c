import type { Ops, Value, Var } from '@flash-mla/ptx';
import type { DecodeGeometry } from '../../../../kernel-lib/cuda/sm90/geometry.ts';
import type { ConsumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import type { BlockRange } from './consume.ts';
import { limitsOf } from './missing-pages.ts';
import { barrierId, type HopperShared, tileTokens, warpGroupThreads } from './tile.ts';

/** What a consumer needs to know of a request's blocks. */
export interface Blocks extends BlockRange {
  /** Tokens that some row sees. A kernel that has no register to keep it in reads it anew at each call. */
  length(): Value<'u32'>;
  /** Tokens that all rows see; 0 as well where a block's page may be missing. */
  readonly seenByAll: Value<'u32'>;
  /** Tokens that a row of the CTA sees of a request of this length. */
  limitOfRow(row: Value<'u32'>, length: Value<'u32'>): Value<'u32'>;
  /** Whether the page of a block is missing; reads the block table. */
  isMissing(block: Value<'u32'>): Value<'pred'>;
}

/**
 * Hides tokens that a row must not see. Behind the request's end there may be anything, NaN too, which
 * even a weight of 0 would not keep out of the outputs: values there become zeros.
 */
export function maskBeyondEnd(
  k: Ops,
  shared: Pick<HopperShared, 'keys'>,
  geometry: DecodeGeometry,
  place: ConsumerPlace,
  blocks: Blocks,
  block: Value<'u32'>,
  scores: readonly Var<'f32'>[],
): void {
  const first = block.mul(tileTokens);
  const end = first.add(tileTokens);
  k.if(
    end.gt(blocks.seenByAll),
    () => {
      const length = blocks.length();
      const limitOf = limitsOf(k, blocks, block, length);
      const limits = [0, 8].map((r) => limitOf(place.row.add(r)));
      scores.forEach((score, i) => {
        const token = first.add(place.column).add((i >> 2) * 8 + (i & 1));
        const limit = limits[(i >> 1) & 1];
        score.set(k.select<'f32'>(token.lt(limit), score, Number.NEGATIVE_INFINITY));
      });
      const clear = () => clearValues(k, shared, geometry, place, length.max(first).sub(first));
      k.if(end.gt(length), clear, { uniform: true });
    },
    { uniform: true },
  );
}

function clearValues(
  k: Ops,
  shared: Pick<HopperShared, 'keys'>,
  { valueTiles, tileBytes }: DecodeGeometry,
  { thread, consumer }: ConsumerPlace,
  valid: Value<'u32'>,
): void {
  const start = shared.keys.tile(consumer, 0).as('b32').bytes(thread.and(7).shl(4));
  const range = { from: valid.add(thread.shr(3)), to: tileTokens, step: warpGroupThreads / 8 };
  const zero = k.constant('b32', 0);
  // The group's other warps may still multiply these rows as keys.
  k.barrier(consumer.add(barrierId.group), warpGroupThreads);
  k.for({ ...range, unroll: false }, (row) => {
    const at = start.bytes(row.shl(7)).folded();
    for (let tile = 0; tile < valueTiles; tile++) {
      at.bytes(tile * tileBytes).storeVec([zero, zero, zero, zero]);
    }
  });
  k.fenceProxyAsync('shared::cta');
  k.barrier(consumer.add(barrierId.group), warpGroupThreads);
}
