import { defineKernel, type Kernel, type Value } from '@flash-mla/ptx';
import { cutAnywhere } from './schedule/anywhere.ts';
import { cutAtSplits } from './schedule/at-splits.ts';
import {
  params,
  requestBlocks,
  shared,
  type TileScheduleConfig,
  type TileScheduleParams,
} from './schedule/common.ts';

export type { TileScheduleConfig, TileScheduleParams } from './schedule/common.ts';

/** Cuts a batch into parts exactly like `computeTileSchedule`. One CTA. */
export function buildTileSchedule(config: TileScheduleConfig): Kernel<TileScheduleParams> {
  return defineKernel(
    { name: 'sm80_tile_schedule', params, shared, block: [config.threads] },
    (k, p) => {
      const blocksOf = (request: Value<'u32'>) => requestBlocks(k, config, p, request);
      k.if(k.threadIdx.x.eq(0), () => p.numSplits.store(0));
      if (config.deterministic) cutAtSplits(k, p, config.threads, blocksOf);
      else cutAnywhere(k, p, config.threads, blocksOf);
    },
  );
}
