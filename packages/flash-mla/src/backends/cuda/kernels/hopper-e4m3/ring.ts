import type { Ops, Value } from '@flash-mla/ptx';
import { queryThreads } from '../hopper/tile.ts';
import { consumerWarps, type E4m3Shared, type E4m3Tile } from './tile.ts';

/** A position in the ring of key blocks; runs on from request to request. */
export interface RingPosition {
  readonly stage: Value<'u32'>;
  /** Of the round at hand. */
  readonly parity: Value<'u32'>;
  /** Goes on by a block. */
  advance(): void;
  /** The position one block further, if `isNext`. */
  next(isNext: Value<'pred'> | true): Pick<RingPosition, 'stage' | 'parity'>;
}

export function ringPosition(k: Ops, { stages }: E4m3Tile, firstParity: 0 | 1): RingPosition {
  const stage = k.var('u32', 0).named('stage');
  const parity = k.var('u32', firstParity).named('parity');
  const next = (step: Value<'u32'> | 1) => {
    const reached = stage.add(step);
    const wraps = reached.eq(stages);
    return {
      stage: k.select(wraps, 0, reached, 'u32'),
      parity: k.select(wraps, parity.xor(1), parity),
    };
  };
  return {
    stage,
    parity,
    advance() {
      const reached = next(1);
      stage.set(reached.stage);
      parity.set(reached.parity);
    },
    next: (isNext) => next(isNext === true ? 1 : k.select(isNext, 1, 0, 'u32')),
  };
}

/** Initialises all barriers; ends with a barrier of the CTA. */
export function initBarriers(k: Ops, shared: E4m3Shared, { stages }: E4m3Tile): void {
  k.if(k.threadIdx.x.eq(0), () => {
    for (let i = 0; i < stages; i++) {
      k.mbarrierInit(shared.full.at(i), 1);
      k.mbarrierInit(shared.empty.at(i), consumerWarps);
    }
    k.mbarrierInit(shared.queryFull.at(0), queryThreads);
    k.mbarrierInit(shared.queryEmpty.at(0), consumerWarps);
    k.mbarrierInit(shared.targetFull.at(0), 1);
    k.fenceMbarrierInit();
  });
  k.syncWarp();
  k.barrier();
}
