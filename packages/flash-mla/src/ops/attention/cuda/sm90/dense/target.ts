import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import type { Piece } from '../../pieces.ts';
import type { HopperShared } from './tile.ts';

/** What a kernel declares for it. */
export type TargetShared = Pick<HopperShared, 'targets' | 'targetFull'>;

/**
 * Where a piece's results go, and whether another piece follows: a thread of the producer reads it
 * while the consumers compute, who would wait for it at their end. Two pieces take turns.
 */
type Phase = Value<'u32'>;

const flags = { isPartial: 1, hasNext: 2 } as const;

/** By one thread, after it has fetched its share of the piece's queries. */
export function publishTarget(k: Ops, shared: TargetShared, piece: Piece, phase: Phase): void {
  const { isPartial, slot } = piece.target();
  const partial = k.select(isPartial, flags.isPartial, 0, 'u32');
  const next = k.select(piece.isLast(), 0, flags.hasNext, 'u32');
  targetOf(shared, phase).storeVec([partial.or(next), slot]);
  k.mbarrierArrive(shared.targetFull.at(0));
}

/** The target of the piece at hand. */
export function awaitTarget(
  k: Ops,
  shared: TargetShared,
  phase: Phase,
): { readonly isPartial: Value<'pred'>; readonly slot: Value<'u32'> } {
  k.mbarrierWait(shared.targetFull.at(0), phase);
  const [bits, slot] = targetOf(shared, phase).loadVec(2);
  return { isPartial: bits.and(flags.isPartial).ne(0).named('is_partial'), slot };
}

/** Whether a piece follows the one whose target was awaited. */
export function hasNext(shared: TargetShared, phase: Phase): Value<'pred'> {
  return targetOf(shared, phase).load().and(flags.hasNext).ne(0);
}

function targetOf(shared: TargetShared, phase: Phase): Pointer<'shared', 'u32'> {
  return shared.targets.at(phase, 0);
}
