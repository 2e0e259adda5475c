import { defineKernel, type Kernel, type Value, type Var } from '@flash-mla/ptx';
import { consumerPlace } from '../../../kernel-lib/cuda/sm90/place.ts';
import { type BlockRange, Consumer } from './dense/consume.ts';
import { initBarriersOnce } from './dense/init-barriers.ts';
import { resetRows, rowState } from './dense/row-state.ts';
import {
  consumers,
  consumerWarps,
  ctaThreads,
  groupWarps,
  headDimV,
  keyParts,
  releasedParts,
  tileColumns,
  warpGroupThreads,
} from './dense/tile.ts';
import { type PrefillParams, prefillParams } from './prefill/params.ts';
import { produce } from './prefill/produce.ts';
import { writeResults } from './prefill/results.ts';
import { consumerRegisters, prefillLayout, producerRegisters, stageWarps } from './prefill/tile.ts';
import { forEachWork } from './prefill/work.ts';
import { hideMissing } from './sparse/hide.ts';

/** What the code of the kernel depends on. */
export interface HopperSparsePrefillConfig {
  readonly headDimQk: 512 | 576;
  readonly hasSink: boolean;
}

/**
 * Token-sparse attention over an unpaged KV on warp groups. Grid: as many CTAs as run side by side; each
 * takes every so many tiles of 64 heads of a query. One warp group gathers the rows that a query picks,
 * two compute, as in dense decoding.
 */
export function buildHopperSparsePrefill(config: HopperSparsePrefillConfig): Kernel<PrefillParams> {
  const keyTiles = config.headDimQk / tileColumns;
  const options = {
    name: 'sm90_sparse_prefill',
    params: prefillParams,
    shared: prefillLayout,
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    initBarriersOnce(k, () => {
      const weights = consumers * keyParts.length;
      for (let i = 0; i < weights; i++) k.mbarrierInit(shared.full.at(i), stageWarps);
      for (let i = 0; i < consumers * releasedParts; i++) {
        k.mbarrierInit(shared.empty.at(i), groupWarps);
      }
      for (let i = 0; i < consumers; i++) {
        k.mbarrierInit(shared.full.at(weights + i), warpGroupThreads);
        k.mbarrierInit(shared.sumsFull.at(i), warpGroupThreads);
      }
      k.mbarrierInit(shared.queryFull.at(0), 1);
      k.mbarrierInit(shared.queryEmpty.at(0), consumerWarps);
    });

    const consume = () => {
      const place = consumerPlace(k, group);
      const state = rowState(k, headDimV / 2);
      const largest = k.vars('f32', 2, Number.NEGATIVE_INFINITY);
      const hide = (_: BlockRange, __: Value<'u32'>, scores: readonly Var<'f32'>[]) => {
        hideMissing(k, shared, place, scores);
        largest.forEach((most, r) => {
          const mine = scores.filter((___, i) => ((i >> 1) & 1) === r);
          most.set(mine.reduce<Value<'f32'>>((a, b) => a.max(b), most));
        });
      };
      const tile = { element: 'bf16', clusterSize: 1, registerTiles: 0, keyTiles } as const;
      const consumer = new Consumer<BlockRange>(k, shared, tile, place, state, hide);
      const parity = k.var('u32', 0).named('work_parity');
      forEachWork(k, p, (work) => {
        resetRows(state);
        for (const most of largest) most.set(Number.NEGATIVE_INFINITY);
        consumer.loadQuery(parity);
        consumer.attend({ from: k.constant('u32', 0), to: work.blocks, scale: p.scale });
        consumer.releaseQuery();
        const { hasSink } = config;
        writeResults(k, shared, p, { place, state, largest, work, parity, hasSink });
        parity.set(parity.xor(1));
      });
    };

    k.if(
      group.eq(0),
      () => {
        k.setMaxRegisters(producerRegisters, 'decrease');
        produce(k, shared, p, keyTiles);
      },
      () => {
        k.setMaxRegisters(consumerRegisters, 'increase');
        consume();
      },
      { uniform: true },
    );
  });
}
