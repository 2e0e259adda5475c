import type { Ops, Value } from '@flash-mla/ptx';
import type { RowState } from '../mla/softmax.ts';
import {
  type Accumulators,
  accumulators,
  hideBeyond,
  queryFragments,
  type RowLimits,
  scoresOf,
} from './scores.ts';
import { newRowStates, softmaxStep } from './softmax.ts';
import { type MhaShared, type MhaTile, mhaShape } from './tile.ts';
import { fetchQueries, type QueryRows, type TokenTiles } from './tokens.ts';
import { addWeightedValues, rescaleOutputs } from './values.ts';

/** What a CTA computes: some query rows of one request over its first tiles of tokens. */
export interface MhaAttention {
  readonly tile: MhaTile;
  readonly shared: MhaShared;
  readonly queries: QueryRows;
  readonly tokens: TokenTiles;
  readonly limits: RowLimits;
  /** Tiles that any row sees. */
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
  const inRegisters = tile.query === 'registers';

  const query = k.section('queries', () => {
    tokens.seek(k.constant('u32', 0));
    fetchQueries(k, tile, shared, attention.queries);
    k.cpAsyncCommit();
    if (!inRegisters) return queryFragments(k, tile, shared);
    k.cpAsyncWait(0);
    k.barrier();
    const fragments = queryFragments(k, tile, shared);
    // The first keys go where the queries were.
    k.barrier();
    return fragments;
  });

  const fetch = (t: Value<'u32'>, copy: (t: Value<'u32'>) => void) => {
    k.if(t.lt(tiles), () => copy(t), { uniform: true });
    k.cpAsyncCommit();
  };
  const arrived = () => {
    k.cpAsyncWait(0);
    k.barrier();
  };
  const scores = (t: Value<'u32'>, stage: Value<'u32'>) => {
    const found = k.section('scores', () => scoresOf(k, tile, shared, query, stage));
    hideBeyond(k, tile, t, found, limits);
    return found;
  };
  const addValues = (found: Accumulators, stage: Value<'u32'>) => {
    const weights = k.section('softmax', () => softmaxStep(k, tile, states, found, scale));
    k.section('values', () => {
      rescaleOutputs(k, outputs, weights);
      addWeightedValues(k, tile, shared, outputs, weights, stage);
    });
  };
  const range = { to: tiles, name: 'tile', uniform: true, unroll: false } as const;
  const zero = k.constant('u32', 0);

  if (tile.stages === 1) {
    fetch(zero, (t) => tokens.fetchKeys(t, zero));
    k.for(range, (t) => {
      // Keys are here, and all warps are done with the values before.
      arrived();
      fetch(t, () => tokens.fetchValues(t, zero));
      tokens.seek(t.add(1));
      const found = scores(t, zero);
      // Values are here, and all warps are done with the keys.
      arrived();
      fetch(t.add(1), (next) => tokens.fetchKeys(next, zero));
      addValues(found, zero);
    });
    return { states, outputs };
  }

  const fetchBoth = (t: Value<'u32'>, stage: Value<'u32'>) => {
    fetch(t, () => {
      tokens.fetchKeys(t, stage);
      tokens.fetchValues(t, stage);
    });
    tokens.seek(t.add(1));
  };
  fetchBoth(zero, zero);
  k.for(range, (t) => {
    const stage = t.and(1).named('stage');
    // Keys and values are here, and all warps are done with the other stage.
    arrived();
    fetchBoth(t.add(1), stage.xor(1));
    addValues(scores(t, stage), stage);
  });
  return { states, outputs };
}
