import type { Ops } from '@flash-mla/ptx';
import { type RingPosition, ringPosition } from '../hopper-swapped/ring.ts';
import { type PartName, slotsOf } from './tile.ts';

/** Where the parts of the block at hand lie. */
export type PartRings = Readonly<Record<PartName, RingPosition>> & { advance(): void };

export function partRings(k: Ops, firstParity: 0 | 1): PartRings {
  const front = ringPosition(k, slotsOf('front'), firstParity);
  const back = ringPosition(k, slotsOf('back'), firstParity);
  return {
    front,
    back,
    rest: front,
    advance() {
      front.advance();
      back.advance();
    },
  };
}
