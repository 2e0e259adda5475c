import type { Ops, Value } from '@flash-mla/ptx';
import { type HopperMhaConfig, type HopperMhaShared, stages, tileColumns } from './tile.ts';
import { readWork } from './work.ts';

/** 16-byte chunks of a row of a swizzled tile. */
const chunks = 8;

/**
 * Makes values behind the end of a request zeros: there may be anything, NaN too, which even a weight of 0
 * would not keep out of the outputs. A whole warp, which follows all tiles: values of a last block come to
 * it first.
 */
export function clearTails(k: Ops, shared: HopperMhaShared, { tile }: HopperMhaConfig): void {
  const { tokens, headDimV } = tile;
  const lane = k.laneId;
  const workParity = k.var('u32', 0);
  const tailParity = k.var('u32', 0);
  const done = k.var('u32', 0).named('blocks_done');
  k.loop(
    (loop) => {
      k.mbarrierWait(shared.workFull.at(0), workParity);
      workParity.set(workParity.xor(1));
      const { queries, length, blocks } = readWork(shared);
      loop.breakIf(queries.eq(0));
      k.if(
        blocks.mul(tokens).gt(length),
        () => {
          const stage = done.and(stages - 1);
          k.mbarrierWait(shared.valuesRaw.at(0), tailParity);
          tailParity.set(tailParity.xor(1));
          const valid = length.sub(blocks.sub(1).mul(tokens));
          clearRows(k, shared, valid, stage, tokens, headDimV);
          k.fenceProxyAsync('shared::cta');
          k.syncWarp();
          k.if(lane.eq(0), () => k.mbarrierArrive(shared.valuesFull.at(stage)));
        },
        { uniform: true },
      );
      done.set(done.add(blocks));
      k.if(lane.eq(0), () => k.mbarrierArrive(shared.workEmpty.at(0)));
    },
    { uniform: true, unroll: false, name: 'tails' },
  );
}

function clearRows(
  k: Ops,
  shared: HopperMhaShared,
  from: Value<'u32'>,
  stage: Value<'u32'>,
  tokens: number,
  columns: number,
): void {
  const zero = k.constant('b32', 0);
  const start = shared.values
    .tile(stage, 0)
    .as('b32')
    .bytes(k.laneId.and(chunks - 1).shl(4));
  const range = { from: from.add(k.laneId.shr(3)), to: tokens, step: 32 / chunks, unroll: false };
  k.for(range, (row) => {
    const at = start.bytes(row.shl(7)).folded();
    for (let tile = 0; tile < columns / tileColumns; tile++) {
      at.bytes(tile * tokens * 128).storeVec([zero, zero, zero, zero]);
    }
  });
}
