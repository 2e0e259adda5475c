import { philox } from '@flash-mla/core';

/**
 * A number from 0 (included) to 1 (excluded) that depends on the seed and the position alone: a row of a
 * batch draws the same one whoever its neighbours are.
 */
export function randomAt(seed: number, position: number): number {
  return philox(seed, Math.floor(seed / 2 ** 32), position);
}
