import type { Ops, Value } from '@flash-mla/ptx';

/** A position in a ring of two stages. */
interface RingCounter {
  readonly stage: Value<'u32'>;
  /** Of the barriers in the round at hand. */
  readonly parity: Value<'u32'>;
  /** Goes on by a block. */
  advance(): void;
}

/** The producer's position in a ring of two stages, in one register: it has none to spare. */
export function ringCounter(k: Ops): RingCounter {
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
