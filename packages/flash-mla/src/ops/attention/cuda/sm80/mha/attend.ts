import type { Ops, Value } from '@flash-mla/ptx';
import { hideMissing } from '../mla/page-table.ts';
import type { RowState } from '../mla/softmax.ts';
import {
  type Accumulators,
  accumulators,
  hideBeyond,
  loadQueries,
  type RowLimits,
  scoresOf,
} from './scores.ts';
import { newRowStates, softmaxStep } from './softmax.ts';
import { type MhaShared, type MhaTile, mhaShape, mhaStages } from './tile.ts';
import { fetchQueries, type QueryRows, type TokenTiles } from './tokens.ts';
import { addWeightedValues, rescaleOutputs } from './values.ts';

/** What a CTA computes: some query rows of one request over its first tiles of tokens. */
export interface MhaAttention {
  readonly tile: MhaTile;
  readonly shared: MhaShared;
  readonly queries: QueryRows;
  readonly tokens: TokenTiles;
  readonly limits: RowLimits;
  /** Tiles that any row of the CTA sees. */
  readonly tiles: Value<'u32'>;
  /** Turns scores into powers of two: softmax scale · log2 e. */
  readonly scale: Value<'f32'>;
}

/** Attention over the tiles; the outputs are relative to the row states. */
export function attendMha(
  k: Ops,
  attention: MhaAttention,
): { states: readonly RowState[]; outputs: Accumulators } {
  const { tile, shared, tokens, tiles, limits, scale } = attention;
  const states = newRowStates(k, tile);
  const outputs = accumulators(k, tile, mhaShape(tile).columns);

  const loaded = k.section('queries', () => {
    tokens.seek(k.constant('u32', 0));
    fetchQueries(k, tile, shared, attention.queries);
    k.cpAsyncCommit();
    if (tile.query === 'shared') return undefined;
    k.cpAsyncWait(0);
    k.barrier();
    const fragments = loadQueries(k, tile, shared);
    // The first keys go where the queries were.
    k.barrier();
    return fragments;
  });

  const fetch = (t: Value<'u32'>, stage: Value<'u32'>) => {
    const copy = () => {
      tokens.fetchKeys(t, stage);
      tokens.fetchValues(t, stage);
    };
    k.if(t.lt(tiles), copy, { uniform: true });
    k.cpAsyncCommit();
    tokens.seek(t.add(1));
  };
  const attendTile = (t: Value<'u32'>, stage: Value<'u32'>) => {
    const scores = k.section('scores', () => scoresOf(k, tile, shared, loaded, stage));
    if (shared.missing.placed.shape[0] > 0) {
      const column = () => k.laneId.and(3).shl(1);
      for (const rows of scores) hideMissing(k, shared, stage, column, rows);
    }
    hideBeyond(k, tile, t, scores, limits);
    const weights = k.section('softmax', () => softmaxStep(k, tile, states, scores, scale));
    k.section('values', () => {
      rescaleOutputs(k, outputs, weights);
      addWeightedValues(k, tile, shared, outputs, weights, stage);
    });
  };

  fetch(k.constant('u32', 0), k.constant('u32', 0));
  k.for({ to: tiles, name: 'tile', uniform: true, unroll: false }, (t) => {
    const stage = t.and(mhaStages - 1).named('stage');
    k.cpAsyncWait(0);
    // Copies of all threads have arrived, and all warps are done with the other stage.
    k.barrier();
    fetch(t.add(1), stage.xor(1));
    const isSeen = t.mul(tile.tokens).lt(limits.any);
    k.if(isSeen, () => attendTile(t, stage), { uniform: true });
  });
  return { states, outputs };
}
