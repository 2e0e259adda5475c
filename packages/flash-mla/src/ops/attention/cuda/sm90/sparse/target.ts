import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import type { Piece } from '../../pieces.ts';
import type { SparseShared } from './tile.ts';

type Shared = Pick<SparseShared, 'targets' | 'targetFull'>;
/** Of the number of passes over pieces; two take turns. */
type Parity = Value<'u32'>;

const flags = { isPartial: 1, hasNext: 2, again: 4 } as const;

/**
 * Where a piece's results go, whether another piece follows, and whether this one must be done again in
 * wide elements; by one thread of the producer, when it has converted all blocks of the pass.
 */
export function publishTarget(
  k: Ops,
  shared: Shared,
  piece: Piece,
  parity: Parity,
  again: Value<'pred'>,
): void {
  const { isPartial, slot } = piece.target();
  const partial = k.select(isPartial, flags.isPartial, 0, 'u32');
  const next = k.select(piece.isLast(), 0, flags.hasNext, 'u32');
  const repeat = k.select(again, flags.again, 0, 'u32');
  targetOf(shared, parity).storeVec([partial.or(next).or(repeat), slot]);
  k.mbarrierArrive(shared.targetFull.at(0));
}

/** The target of the pass at hand. */
export function awaitTarget(k: Ops, shared: Shared, parity: Parity) {
  k.mbarrierWait(shared.targetFull.at(0), parity);
  const [bits, slot] = targetOf(shared, parity).loadVec(2);
  return {
    isPartial: bits.and(flags.isPartial).ne(0).named('is_partial'),
    again: bits.and(flags.again).ne(0).named('again'),
    slot,
  };
}

/** Whether a piece follows the one whose target was awaited. */
export function hasNext(shared: Shared, parity: Parity): Value<'pred'> {
  return targetOf(shared, parity).load().and(flags.hasNext).ne(0);
}

function targetOf(shared: Shared, parity: Parity): Pointer<'shared', 'u32'> {
  return shared.targets.at(parity, 0);
}
