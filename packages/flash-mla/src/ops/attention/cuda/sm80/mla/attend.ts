import type { Ops, Value } from '@flash-mla/ptx';
import { drain, interleave } from '../../../../kernel-lib/cuda/sm80/steps.ts';
import type { KeySource, ScoreMask } from './keys.ts';
import type { WarpPlace } from './place.ts';
import { fetchQuery, type QueryRows } from './query.ts';
import { rawKeyUnits } from './raw-fragments.ts';
import {
  addScores,
  clearChains,
  loadQueryFragments,
  meetHalfDepths,
  newChains,
  type QueryFragments,
  scoresBySplitDepth,
  scoresOfRows,
  sumChains,
} from './scores.ts';
import type { MlaShared } from './shared.ts';
import { newRowState, type RowState, rowMaxima, softmaxStep } from './softmax.ts';
import { type MlaTile, tileShape } from './tile.ts';
import { addRawValues, addWeightedValues, newOutputs, type Outputs } from './values.ts';

/** What a CTA computes in one go: some query rows over a range of key tiles. */
export interface Attention {
  readonly tile: MlaTile;
  readonly shared: MlaShared;
  readonly place: WarpPlace;
  readonly query: QueryRows;
  readonly keys: KeySource;
  readonly mask: ScoreMask;
  /** Tiles, the end exclusive; at least one. */
  readonly from: Value<'u32'>;
  readonly to: Value<'u32'>;
  /** Turns scores into powers of two: softmax scale · log2 e. */
  readonly scale: Value<'f32'>;
  /** Sees the largest scores of the lane's two rows in each tile. */
  readonly observe?: (maxima: readonly [Value<'f32'>, Value<'f32'>]) => void;
}

/**
 * Attention over a range of tiles. Afterwards every warp is done with the keys, though not with the
 * statistics; the outputs are relative to the row state.
 */
export function attend(k: Ops, attention: Attention): { state: RowState; outputs: Outputs } {
  return attention.tile.rawKeys ? attendAhead(k, attention) : attendInTurn(k, attention);
}

/** A tile's scores, softmax and values one after the other. */
function attendInTurn(k: Ops, attention: Attention): { state: RowState; outputs: Outputs } {
  const { tile, shared, place, keys, from, to } = attention;
  const { splitsDepth } = tileShape(tile);
  const packed = tile.packedSlots > 0;
  // Tiles on their way while one is used: packed rows have slots of their own for the next.
  const ahead = packed ? 1 : tile.stages - 1;
  const query = startCopies(k, attention, ahead);

  const state = newRowState(k);
  const outputs = newOutputs(k, tile);
  const stage = k.var('u32', 0).named('stage');
  k.for({ from, to, name: 'tile', uniform: true, unroll: false }, (i) => {
    k.cpAsyncWait(packed ? 0 : ahead - 1);
    // Copies of all threads have arrived, and all warps are done with the tile before this one.
    k.barrier();
    if (packed) {
      k.section('decode', () => keys.decode?.());
      k.barrier();
    }
    const next = i.add(ahead);
    const copies = keys.fetch(next, stageAfter(k, stage, ahead, tile.stages), next.lt(to));
    // The first of them computes addresses, for which there are more registers now than later.
    copies.next();
    const scores = splitsDepth
      ? scoresBySplitDepth(k, tile, shared, place, stage, copies)
      : scoresOfRows(k, tile, shared, place, query, stage, copies);
    drain(copies);
    k.cpAsyncCommit();
    keys.seek(next.add(1));
    k.section('softmax', () => {
      attention.mask(i, stage, scores);
      const maxima = rowMaxima(k, shared, place, scores);
      attention.observe?.(maxima);
      softmaxStep(k, tile, shared, place, state, scores, maxima, attention.scale);
      k.barrier();
    });
    k.section('values', () => {
      drain(addWeightedValues(k, tile, shared, place, outputs, stage));
    });
    stage.set(stageAfter(k, stage, 1, tile.stages));
  });
  return { state, outputs };
}

/**
 * A software-pipelined loop: the values (PV) of a tile are interleaved with the scores (QKᵀ) of the next one,
 * so that their instructions hide each other's latency. The last steps of PV are deferred and overlap the
 * softmax of the next tile. Needs at least two stages: one is used, and the next has arrived.
 */
function attendAhead(k: Ops, attention: Attention): { state: RowState; outputs: Outputs } {
  const { tile, shared, place, keys, from, to } = attention;
  const ahead = tile.stages - 1;
  const valueSteps = tile.tokens / 16;
  const firstLate = valueSteps - tile.lateValueSteps;
  // Before the first tile nothing is deferred: its own values, weighted by zeros, stand for that.
  if (firstLate < valueSteps) clearWeights(k, shared, place);
  const query = startCopies(k, attention, ahead);

  const state = newRowState(k);
  const outputs = newOutputs(k, tile);
  const chains = newChains(k, tile);
  const scoresOf = (stage: Value<'u32'>) => {
    clearChains(chains);
    return addScores(k, tile, chains, query, rawKeyUnits(k, tile, shared, place, stage));
  };
  const stage = k.var('u32', 0).named('stage');
  const lateStage = k.var('u32', 0).named('late_stage');
  const deferredValues = () => {
    const steps = { from: firstLate, to: valueSteps, rescale: false };
    return addRawValues(k, tile, shared, place, outputs, lateStage, steps);
  };
  k.section('first scores', () => {
    k.cpAsyncWait(ahead - 1);
    k.barrier();
    drain(scoresOf(stage));
  });
  k.for({ from, to, name: 'tile', uniform: true, unroll: false }, (i) => {
    const next = i.add(ahead);
    const copies = keys.fetch(next, stageAfter(k, stage, ahead, tile.stages), next.lt(to));
    const start = () => {
      drain(copies);
      k.cpAsyncCommit();
      keys.seek(next.add(1));
    };
    k.section('softmax', () => {
      const late = firstLate < valueSteps ? deferredValues() : undefined;
      const meanwhile = () => late?.next();
      const sums = sumChains(chains);
      const scores =
        tile.depthParts === 1 ? sums : meetHalfDepths(k, shared, place, sums, meanwhile);
      attention.mask(i, stage, scores);
      meanwhile();
      const maxima = rowMaxima(k, shared, place, scores);
      attention.observe?.(maxima);
      // All warps are done with the values of the tile before this one: its stage is free.
      if (ahead === 1) start();
      if (late) drain(late);
      softmaxStep(k, tile, shared, place, state, scores, maxima, attention.scale);
      // The next tile has arrived.
      k.cpAsyncWait(Math.max(0, ahead - 2));
      k.barrier();
    });
    // Behind the last tile there is none: its own scores once more are what nobody asks for.
    const nextStage = k.select(i.add(1).lt(to), stageAfter(k, stage, 1, tile.stages), stage);
    k.section('values and next scores', () => {
      const steps = { from: 0, to: firstLate, rescale: true };
      const values = addRawValues(k, tile, shared, place, outputs, stage, steps);
      interleave(copies, scoresOf(nextStage), values);
    });
    if (ahead > 1) start();
    lateStage.set(stage);
    stage.set(nextStage);
  });
  if (firstLate < valueSteps) k.section('late values', () => drain(deferredValues()));
  return { state, outputs };
}

function clearWeights(k: Ops, shared: MlaShared, { thread }: WarpPlace): void {
  const { weights } = shared.scratch;
  const [rows, columns] = weights.placed.shape;
  const zero = k.constant('b32', 0);
  const chunks = columns / 8;
  const clear = () => {
    const to = weights.at(thread.shr(Math.log2(chunks)), thread.and(chunks - 1).mul(8));
    to.as('b32').storeVec([zero, zero, zero, zero]);
  };
  k.if(thread.lt(rows * chunks), clear, { uniform: true });
}

/** Starts copying the query rows and the first `ahead` tiles; returns how to get query fragments. */
function startCopies(k: Ops, attention: Attention, ahead: number): QueryFragments {
  const { tile, shared, place, keys, from, to } = attention;
  return k.section('first copies', () => {
    keys.seek(from);
    // Queries that will live in registers pass through the stage that is filled last.
    const transit = tile.stages - 1;
    fetchQuery(k, tile, shared, place, attention.query, transit);
    k.cpAsyncCommit();
    for (let i = 0; i < ahead; i++) {
      const next = from.add(i);
      const fetch = () => drain(keys.fetch(next, k.constant('u32', i)));
      k.if(next.lt(to), fetch, { uniform: true });
      k.cpAsyncCommit();
      keys.seek(next.add(1));
    }
    if (tileShape(tile).splitsDepth) return () => [];
    k.cpAsyncWait(ahead);
    k.barrier();
    return loadQueryFragments(k, tile, shared, place, transit);
  });
}

/** The stage `steps` further in the ring. */
function stageAfter(k: Ops, stage: Value<'u32'>, steps: number, stages: number): Value<'u32'> {
  if (steps % stages === 0) return stage;
  const next = stage.add(steps % stages);
  return k.select(next.ge(stages), next.sub(stages), next);
}
