import { philox } from '@flash-mla/core';

/** A number from 0 (included) to 1 (excluded) for a seed of 64 bits and a position. */
export function randomAt(seed: bigint, position: number): number {
  return philox(
    Number(BigInt.asUintN(32, seed)),
    Number(BigInt.asUintN(32, seed >> 32n)),
    position,
  );
}
