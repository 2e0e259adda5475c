import type { Ops, Value } from '@flash-mla/ptx';
import { consumerPlace } from '../../../../kernel-lib/cuda/sm90/place.ts';
import { scaleRows } from '../../../../kernel-lib/cuda/sm90/register-tile.ts';
import { hideMissing, hideUnseen, queryOf } from './hide.ts';
import type { Params } from './params.ts';
import { writeResults } from './results.ts';
import { holdBack, mhaState, packWeights, resetState, weigh } from './softmax.ts';
import {
  consumerRows,
  consumers,
  type HopperMhaConfig,
  type HopperMhaShared,
  stages,
  stepDepth,
  turnBarrier,
  warpGroupThreads,
} from './tile.ts';
import { readWork, seenBy } from './work.ts';

const bothThreads = consumers * warpGroupThreads;

/**
 * Attention of half the rows of each tile; by a warp group. While its softmax is at work, the tensor cores
 * have the product with V of the block before to do, and the other consumer's products, whose turn it is
 * in the meantime.
 */
export function consume(
  k: Ops,
  shared: HopperMhaShared,
  config: HopperMhaConfig,
  p: Params,
  group: Value<'u32'>,
): void {
  const { element, headDimQk, headDimV, tokens } = config.tile;
  const place = consumerPlace(k, group);
  const { consumer } = place;
  const state = mhaState(k, headDimV);
  const scores = k.vars('f32', tokens / 2);
  const weights = k.vars('b32', tokens / 4);
  const type = element === 'f16' ? 'f16x2' : 'bf16x2';
  const fragments = Array.from({ length: tokens / stepDepth }, (_, i) =>
    weights.slice(4 * i, 4 * i + 4),
  );
  const query = shared.query.kMajor(consumer.mul(consumerRows), 0);
  /** Key blocks taken so far, of all tiles. */
  const taken = k.var('u32', 0).named('blocks_taken');
  const stageOf = (block: Value<'u32'>) => block.and(stages - 1);
  const parityOf = (block: Value<'u32'>) => block.shr(Math.log2(stages)).and(1);
  const release = (bars: HopperMhaShared['keysEmpty'], at: Value<'u32'> | number) =>
    k.if(k.laneId.eq(0), () => k.mbarrierArrive(bars.at(at)));

  const awaitKeys = () => k.mbarrierWait(shared.keysFull.at(stageOf(taken)), parityOf(taken));
  const multiplyKeys = () =>
    k.section('scores', () => {
      const keys = shared.keys.kMajor(stageOf(taken), 0, 0);
      k.wgmmaFence();
      for (let d = 0; d < headDimQk; d += stepDepth) {
        k.wgmma(element, scores, query.at(0, d), keys.at(0, d), { accumulate: d > 0 });
      }
      k.wgmmaCommit();
    });
  const multiplyValues = (block: Value<'u32'>) =>
    k.section('values', () => {
      k.mbarrierWait(shared.valuesFull.at(stageOf(block)), parityOf(block));
      const values = shared.values.mnMajor(stageOf(block), 0, 0);
      k.wgmmaFence();
      fragments.forEach((words, i) => {
        const left = words.map((word) => word.as(type));
        k.wgmma(element, state.outputs, left, values.at(i * stepDepth, 0));
      });
      k.wgmmaCommit();
    });
  const missingOf = () =>
    config.keys === 'paged' ? k.copy(shared.missing.at(stageOf(taken)).load()) : undefined;

  // The first turn is the first consumer's.
  k.if(consumer.eq(1), () => k.barrierArrive(turnBarrier, bothThreads), { uniform: true });
  const parity = k.var('u32', 0).named('work_parity');
  k.loop(
    (loop) => {
      k.mbarrierWait(shared.workFull.at(0), parity);
      parity.set(parity.xor(1));
      const work = readWork(shared);
      loop.breakIf(work.queries.eq(0));
      resetState(state);
      const firstRow = consumer.mul(consumerRows);
      const seen = {
        work,
        byAll: k.copy(seenBy(p, work, queryOf(config, firstRow))).named('seen_by_all'),
        row: firstRow.add(place.row),
      };
      /** Scores to weights; the keys are released, and values before may still be multiplied. */
      const softmax = (block: Value<'u32'>, missing: Value<'u32'> | undefined) =>
        k.section('softmax', () => {
          hideUnseen(k, config, p, place, seen, block, scores);
          if (missing !== undefined) hideMissing(k, config, missing, scores);
          return weigh(k, state, scores, p.scale);
        });
      k.if(
        work.blocks.ne(0),
        () => {
          awaitKeys();
          const missing = missingOf();
          multiplyKeys();
          k.wgmmaWait(0);
          release(shared.keysEmpty, stageOf(taken));
          softmax(work.blocks.sub(1), missing);
          packWeights(k, element, scores, weights);
          const left = k.var('u32', work.blocks.sub(1)).named('blocks_left');
          k.while(
            () => left.ne(0),
            () => {
              left.set(left.sub(1));
              const before = k.copy(taken);
              taken.set(taken.add(1));
              awaitKeys();
              const absent = missingOf();
              k.barrier(consumer.add(turnBarrier), bothThreads);
              multiplyKeys();
              multiplyValues(before);
              k.barrierArrive(consumer.xor(1).add(turnBarrier), bothThreads);
              k.wgmmaWait(1);
              release(shared.keysEmpty, stageOf(taken));
              const { factors, rescales } = softmax(left, absent);
              holdBack(k, state);
              k.wgmmaWait(0);
              release(shared.valuesEmpty, stageOf(before));
              packWeights(k, element, scores, weights);
              scaleRows(k, state.outputs, factors, rescales);
            },
            { uniform: true, unroll: false, name: 'blocks' },
          );
          // Room for the next tile's queries.
          release(shared.workEmpty, 0);
          multiplyValues(taken);
          k.wgmmaWait(0);
          release(shared.valuesEmpty, stageOf(taken));
          taken.set(taken.add(1));
        },
        () => release(shared.workEmpty, 0),
        { uniform: true },
      );
      writeResults(k, config, p, place, work, state);
    },
    { uniform: true, unroll: false, name: 'tiles' },
  );
  // Takes the turn that the other consumer gave last.
  k.if(consumer.eq(0), () => k.barrier(turnBarrier, bothThreads), { uniform: true });
}
