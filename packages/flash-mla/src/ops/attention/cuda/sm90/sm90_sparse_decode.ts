import { defineKernel, type Kernel } from '@flash-mla/ptx';
import { consumerPlace } from '../../../kernel-lib/cuda/sm90/place.ts';
import type { Piece } from '../pieces.ts';
import { type BlockRange, Consumer, consumerRegistersOf } from './dense/consume.ts';
import { releaseCombine } from './dense/release-combine.ts';
import { writeResults } from './dense/results.ts';
import { resetRows, rowState } from './dense/row-state.ts';
import { ctaThreads, headDimV } from './dense/tile.ts';
import { initBarriers } from './sparse/barriers.ts';
import { gather } from './sparse/gather.ts';
import { hideMissing } from './sparse/hide.ts';
import { narrowQueries } from './sparse/narrow-queries.ts';
import { type SparseParams, sparseParams } from './sparse/params.ts';
import { produce } from './sparse/produce.ts';
import type { CacheCode } from './sparse/rows.ts';
import { awaitTarget, hasNext } from './sparse/target.ts';
import {
  blockOf,
  consumerRegisters,
  keyTilesOf,
  narrow,
  producerRegisters,
  sparseLayout,
  wide,
} from './sparse/tile.ts';
import { sparseWork } from './sparse/work.ts';

/** What the code of the kernel depends on. */
export interface HopperSparseDecodeConfig extends CacheCode {
  readonly hasSink: boolean;
}

/**
 * Token-sparse decoding on warp groups. Grid: (tiles of 64 heads, queries, parts of the schedule). One
 * warp group gathers rows and converts them, two compute.
 */
export function buildHopperSparseDecode(config: HopperSparseDecodeConfig): Kernel<SparseParams> {
  const { hasSink } = config;
  const options = {
    name: 'sm90_sparse_decode',
    params: sparseParams,
    shared: sparseLayout,
    block: [ctaThreads],
    minBlocksPerSm: 1,
  } as const;
  return defineKernel(options, (k, p) => {
    const { shared } = k;
    const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
    const work = sparseWork(k, p, { hasExtra: config.extraPageSize > 0 });
    const isConverted = config.layout !== 'bf16';
    initBarriers(k, shared, config.layout);
    k.waitForDependencies();

    const consume = () => {
      const place = consumerPlace(k, group);
      const state = rowState(k, headDimV / 2);
      const registers = consumerRegistersOf(k, narrow);
      const consumerOf = (kind: typeof narrow | typeof wide) =>
        new Consumer<BlockRange>(
          k,
          shared,
          {
            ...kind,
            keyTiles: keyTilesOf(config.layout),
            fencesCopies: !isConverted,
            partnerFirst: true,
          },
          place,
          state,
          (_blocks, _block, scores) => hideMissing(k, shared, place, scores),
          registers,
        );
      const [inF16, inBf16] = [narrow, wide].map(consumerOf);
      const parity = k.var('u32', 0).named('pass_parity');
      const isWide = k.var('pred', false);
      const attendTo = (blocks: BlockRange) => {
        const inWide = () => inBf16.attend(blocks);
        if (isConverted) k.if(isWide, inWide, () => inF16.attend(blocks), { uniform: true });
        else inWide();
      };
      const attend = (piece: Piece) => {
        const blocks = work.blocksOf(piece);
        isWide.set(false);
        k.loop(
          (loop) => {
            resetRows(state);
            if (isConverted) narrowQueries(k, shared, place, parity, isWide);
            else inBf16.loadQuery(parity);
            attendTo(blocks);
            const target = awaitTarget(k, shared, parity);
            inF16.releaseQuery();
            k.if(
              target.again.not(),
              () => {
                releaseCombine(k, hasNext(shared, parity).not());
                writeResults(k, p, {
                  shared,
                  place,
                  state,
                  piece,
                  target,
                  parity,
                  work,
                  outElement: 'bf16',
                  ...(isConverted ? { blockOf } : {}),
                  sink: hasSink ? (head) => p.sink.at(head).load() : undefined,
                });
              },
              // Both count every pass.
              () => k.mbarrierArrive(shared.sumsFull.at(place.consumer)),
              { uniform: true },
            );
            parity.set(parity.xor(1));
            isWide.set(true);
            loop.breakIf(target.again.not());
          },
          { uniform: true, name: 'pass', unroll: false },
        );
      };
      work.forEachPiece(attend, () => hasNext(shared, parity.xor(1)));
    };

    k.if(
      group.eq(0),
      () => {
        k.setMaxRegisters(producerRegisters, 'decrease');
        if (isConverted) produce(k, shared, p, work, config);
        else gather(k, shared, p, work, config);
      },
      () => {
        k.setMaxRegisters(consumerRegisters, 'increase');
        consume();
      },
      { uniform: true },
    );
  });
}
