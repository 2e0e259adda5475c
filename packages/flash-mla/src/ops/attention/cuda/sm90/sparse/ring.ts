import type { Ops, Value } from '@flash-mla/ptx';
import type { RingPosition } from '../../../../kernel-lib/cuda/sm90/ring-position.ts';

/** The producer's position in a ring of two stages, in one register: it has none to spare. */
export function ringCounter(k: Ops): RingPosition {
  const blocks = k.var('u32', 2).named('blocks');
  return {
    get stage(): Value<'u32'> {
      return blocks.and(1);
    },
    get parity(): Value<'u32'> {
      return blocks.shr(1).and(1);
    },
    advance: () => blocks.addTo(1),
  };
}
