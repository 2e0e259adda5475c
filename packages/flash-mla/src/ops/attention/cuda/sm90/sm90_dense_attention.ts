import { defineKernel, type Kernel } from '@flash-mla/ptx';
import { clearTails } from './attention/clear-tails.ts';
import { consume } from './attention/consume.ts';
import { type HopperMhaParams, hopperMhaParams } from './attention/params.ts';
import { produce } from './attention/produce.ts';
import {
  consumerRegisters,
  consumerWarps,
  ctaThreads,
  type HopperMhaConfig,
  hopperMhaLayout,
  producerRegisters,
  stages,
} from './attention/tile.ts';
import { initBarriersOnce } from './dense/init-barriers.ts';

/**
 * Dense attention with keys and values of their own on warp groups: one fetches, two compute. The rows of
 * a tile are a request's queries times some of the heads that share a KV head, query by query. Grid: as
 * many CTAs as run side by side; each takes tiles until none is left.
 */
export function buildHopperDenseAttention(config: HopperMhaConfig): Kernel<HopperMhaParams> {
  const options = {
    name: 'sm90_dense_attention',
    params: hopperMhaParams(config.tile.element),
    shared: hopperMhaLayout(config.tile),
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    initBarriersOnce(k, () => {
      k.mbarrierInit(shared.workFull.at(0), 1);
      // The warps of the consumers and the one that clears tails.
      k.mbarrierInit(shared.workEmpty.at(0), consumerWarps + 1);
      for (let i = 0; i < stages; i++) {
        k.mbarrierInit(shared.keysFull.at(i), 1);
        k.mbarrierInit(shared.keysEmpty.at(i), consumerWarps);
        k.mbarrierInit(shared.valuesFull.at(i), 1);
        k.mbarrierInit(shared.valuesEmpty.at(i), consumerWarps);
      }
      k.mbarrierInit(shared.valuesRaw.at(0), 1);
    });
    k.if(
      group.eq(0),
      () => {
        k.setMaxRegisters(producerRegisters, 'decrease');
        const warp = k.shuffle(k.warpId, 0);
        k.if(warp.eq(0), () => produce(k, shared, config, p), { uniform: true });
        k.if(warp.eq(1), () => clearTails(k, shared, config), { uniform: true });
      },
      () => {
        k.setMaxRegisters(consumerRegisters, 'increase');
        consume(k, shared, config, p, group);
      },
      { uniform: true },
    );
  });
}
