import type { Ops, Value } from '@flash-mla/ptx';
import type { KeySource, ScoreMask } from './keys.ts';
import type { WarpPlace } from './place.ts';
import { fetchQuery, type QueryRows } from './query.ts';
import { loadQueryFragments, scoresBySplitDepth, scoresOfRows } from './scores.ts';
import type { MlaShared } from './shared.ts';
import { newRowState, type RowState, rowMaxima, softmaxStep } from './softmax.ts';
import { type MlaTile, tileShape } from './tile.ts';
import { addWeightedValues, newOutputs, type Outputs, rescaleOutputs } from './values.ts';

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
  const { tile, shared, place, query, keys, from, to } = attention;
  const { splitsDepth } = tileShape(tile);
  const packed = tile.packedSlots > 0;
  // Tiles on their way while one is used: packed rows have slots of their own for the next.
  const ahead = packed ? 1 : tile.stages - 1;
  const state = newRowState(k);
  const outputs = newOutputs(k, tile);

  const queryFragments = k.section('first copies', () => {
    keys.seek(from);
    // Queries that will live in registers pass through the stage that is filled last.
    const transit = tile.stages - 1;
    fetchQuery(k, tile, shared, query, transit);
    k.cpAsyncCommit();
    for (let i = 0; i < ahead; i++) {
      const next = from.add(i);
      k.if(next.lt(to), () => keys.fetch(next, k.constant('u32', i)), { uniform: true });
      k.cpAsyncCommit();
      keys.seek(next.add(1));
    }
    if (splitsDepth) return [];
    k.cpAsyncWait(ahead);
    k.barrier();
    return loadQueryFragments(k, tile, shared, place, transit);
  });

  const stage = k.var('u32', 0).named('stage');
  k.for({ from, to, name: 'tile', uniform: true, unroll: false }, (i) => {
    k.section('next copies', () => {
      k.cpAsyncWait(packed ? 0 : ahead - 1);
      // Copies of all threads have arrived, and all warps are done with the tile before this one.
      k.barrier();
      if (packed) keys.decode?.();
      const next = i.add(ahead);
      k.if(next.lt(to), () => keys.fetch(next, stageAfter(k, stage, ahead, tile.stages)), {
        uniform: true,
      });
      k.cpAsyncCommit();
      keys.seek(next.add(1));
      if (packed) k.barrier();
    });
    const scores = splitsDepth
      ? scoresBySplitDepth(k, tile, shared, place, stage)
      : scoresOfRows(k, tile, shared, place, queryFragments, stage);
    k.section('softmax', () => {
      attention.mask(i, stage, scores);
      const maxima = rowMaxima(k, shared, place, scores);
      attention.observe?.(maxima);
      softmaxStep(k, tile, shared, place, state, scores, maxima, attention.scale);
      k.barrier();
    });
    k.section('values', () => {
      rescaleOutputs(k, tile, shared, place, outputs);
      addWeightedValues(k, tile, shared, place, outputs, stage);
    });
    stage.set(stageAfter(k, stage, 1, tile.stages));
  });
  return { state, outputs };
}

/** The stage `steps` further in the ring. */
function stageAfter(k: Ops, stage: Value<'u32'>, steps: number, stages: number): Value<'u32'> {
  if (steps % stages === 0) return stage;
  const next = stage.add(steps % stages);
  return k.select(next.ge(stages), next.sub(stages), next);
}
