import type { Ops, Pointer, Value } from '@flash-mla/ptx';
import { tokenLanes, warpTokens } from './tile.ts';

/** Where a thread of the producer stands, in as few registers as can be. */
export interface ProducerPlace {
  /** The token of a block whose index and scales the lane reads; lanes 16 apart read the same. */
  readonly ownToken: Value<'u32'>;
  /** The lane's 16 bytes of every 128. */
  readonly chunk: Value<'u32'>;
  /** The first of the warp's tokens that the lane has a share of; the others are 4 apart. */
  readonly firstToken: Value<'u32'>;
}

export function producerPlace(k: Ops): ProducerPlace {
  const lane = k.laneId;
  const warp = k.threadIdx.x.shr(5);
  return {
    ownToken: k.mad(warp, warpTokens, lane.and(warpTokens - 1)).named('own_token'),
    chunk: lane.and(tokenLanes - 1).named('chunk'),
    firstToken: lane.shr(Math.log2(tokenLanes)).named('first_token'),
  };
}

/** The producer's warp. */
export const warpOf = ({ ownToken }: ProducerPlace): Value<'u32'> =>
  ownToken.shr(Math.log2(warpTokens));

/** Whether the lane is the first of the two that have a token for their own. */
export const isFirstOwner = ({ firstToken }: ProducerPlace): Value<'pred'> =>
  firstToken.lt(warpTokens / tokenLanes);

/** What all lanes of a warp have written becomes visible to multiplications, and the warp arrives. */
export function publish(k: Ops, bar: Pointer<'shared', 'b64'>): void {
  k.fenceProxyAsync('shared::cta');
  k.syncWarp();
  k.if(k.electSync(), () => k.mbarrierArrive(bar));
}
