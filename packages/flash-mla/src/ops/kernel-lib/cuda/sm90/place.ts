import type { Ops, Value } from '@flash-mla/ptx';

/** Where a thread of a consumer stands. */
export interface ConsumerPlace {
  readonly lane: Value<'u32'>;
  /** Thread of the warp group. */
  readonly thread: Value<'u32'>;
  /** Which of the two consumers: it owns every other block, and half the columns of V. */
  readonly consumer: Value<'u32'>;
  /** First row of the warp's 16. */
  readonly warpRow: Value<'u32'>;
  /** The first of the two rows, 8 apart, that the lane holds. */
  readonly row: Value<'u32'>;
  /** The first of the pair of columns that the lane holds in every 8. */
  readonly column: Value<'u32'>;
}

/** `group`: number of the warp group, the same in all lanes; consumers come after the producer. */
export function consumerPlace(k: Ops, group: Value<'u32'>): ConsumerPlace {
  const lane = k.laneId;
  const thread = k.threadIdx.x.and(127);
  const warpRow = thread.shr(5).shl(4);
  return {
    lane,
    thread,
    consumer: group.sub(1).named('consumer'),
    warpRow,
    row: warpRow.add(lane.shr(2)).named('row'),
    column: lane.and(3).shl(1).named('column'),
  };
}
