import type { Ops, SharedRow, Value, Var } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import {
  ColumnWalk,
  type Fragment,
  type KeyUnit,
  leftFragments,
  rightFragments,
  rowBytes,
} from '../../../../kernel-lib/cuda/sm80/fragments.ts';
import { interleave, type Steps } from '../../../../kernel-lib/cuda/sm80/steps.ts';
import type { WarpPlace } from './place.ts';
import {
  keepRawFragments,
  keptFragments,
  rawDepthSteps,
  rawQueryFragments,
} from './raw-fragments.ts';
import type { MlaShared } from './shared.ts';
import { type MlaTile, tileShape } from './tile.ts';

/** q·k of 16 rows and `tokensPerWarp` tokens: accumulators of 8 tokens each. */
export type Scores = readonly (readonly Var<'f32'>[])[];

/** Accumulators for `tokens` tokens. */
const accumulators = (k: Ops, tokens: number): Var<'f32'>[][] =>
  Array.from({ length: tokens / 8 }, () => k.vars('f32', 4, 0));

const ownQueryRow = (place: WarpPlace): Value<'u32'> =>
  place.rowTile.shl(4).add(place.lane.and(15));

/** Left operands of q·k by step of the depth: from registers, or loaded when they are asked for. */
export type QueryFragments = (step: number) => readonly Fragment[];

/** The query fragments of a warp, all or most of which stay in registers. They are in `transit` now. */
export function loadQueryFragments(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  transit: number,
): QueryFragments {
  const { sharedQuerySteps, rawKeys } = tile;
  const depthSteps = rawKeys ? rawDepthSteps(tile) : tileShape(tile).depthSteps;
  const load = rawKeys
    ? rawQueryFragments(k, tile, shared, place, transit)
    : directFragments(k, shared.keys.row(transit, ownQueryRow(place)));
  const inRegisters: (readonly Fragment[])[] = [];
  for (let step = sharedQuerySteps; step < depthSteps; step++) inRegisters[step] = load(step);
  if (sharedQuerySteps === 0) return (step) => inRegisters[step];
  if (rawKeys) keepRawFragments(k, tile, shared, place, load);
  const inShared = rawKeys
    ? keptFragments(shared, place)
    : directFragments(k, shared.query.row(ownQueryRow(place)));
  return (step) => (step < sharedQuerySteps ? inShared(step) : inRegisters[step]);
}

function directFragments(k: Ops, row: SharedRow<Element>): QueryFragments {
  const rows = leftFragments(k, row);
  return (step) => k.ldmatrix(rows.at(step * 16), 4);
}

/** Accumulators of q·k, to be summed up: one chain of dependent multiplications would wait for itself. */
export function newChains(k: Ops, tile: MlaTile): Var<'f32'>[][][] {
  // Of raw keys those of all warps that share a depth.
  const tokens = tileShape(tile).tokensPerWarp * tile.depthParts;
  const chains = tokens === 8 ? 4 : tile.rawKeys ? 2 : 1;
  return Array.from({ length: chains }, () => accumulators(k, tokens));
}

export function clearChains(chains: readonly Var<'f32'>[][][]): void {
  for (const s of chains.flat(2)) s.set(0);
}

/** The sum of the chains, in the first of them. */
export function sumChains([sum, ...others]: readonly Var<'f32'>[][][]): Scores {
  for (const other of others) {
    sum.forEach((acc, j) => {
      acc.forEach((s, i) => {
        s.addTo(other[j][i]);
      });
    });
  }
  return sum;
}

/** chains += q·k, a unit of keys after the other. */
export function* addScores(
  k: Ops,
  tile: MlaTile,
  chains: readonly Scores[],
  query: QueryFragments,
  keys: Iterable<KeyUnit>,
): Steps {
  for (const unit of keys) {
    for (const { step, tokens, right } of unit) {
      k.mma(tile.element, chains[step % chains.length][tokens], query(step), right);
    }
    yield;
  }
}

/**
 * Scores of a warp that holds query fragments, all or most of them, in registers. `copies` are built in
 * between the multiplications.
 */
export function scoresOfRows(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  query: QueryFragments,
  stage: Value<'u32'>,
  copies: Steps,
): Scores {
  const chains = newChains(k, tile);
  const keys = keyUnits(k, tile, shared, place, stage);
  interleave(copies, addScores(k, tile, chains, query, keys));
  return sumChains(chains);
}

/** Right operands of q·k: of the warp's tokens. */
function* keyUnits(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: Value<'u32'>,
): Generator<KeyUnit> {
  const { tokensPerWarp, depthSteps } = tileShape(tile);
  if (tokensPerWarp === 8) {
    // Eight tokens fill half an ldmatrix, so that one covers two steps.
    const token = k.mad(place.group, 8, place.lane.and(7));
    const keys = new ColumnWalk(shared.keys.row(stage, token), place.lane.shr(3).shl(3));
    for (let step = 0; step < depthSteps; step += 2) {
      const at = keys.at(step * 16);
      const blocks = step + 1 === depthSteps ? k.ldmatrix(at, 2) : k.ldmatrix(at, 4);
      yield [0, 1]
        .filter((i) => 2 * i < blocks.length)
        .map((i) => ({ step: step + i, tokens: 0, right: blocks.slice(2 * i, 2 * i + 2) }));
    }
    return;
  }
  const first = place.group.mul(tokensPerWarp);
  const keys = rightFragments(k, (token) => shared.keys.row(stage, token.add(first)));
  for (let step = 0; step < depthSteps; step++) {
    for (let j = 0; j < tokensPerWarp; j += 16) {
      const at = keys.at(step * 16).bytes(j * rowBytes(shared.keys));
      const [b0, b1, b2, b3] = k.ldmatrix(at, 4);
      yield [
        { step, tokens: j / 8, right: [b0, b1] },
        { step, tokens: j / 8 + 1, right: [b2, b3] },
      ];
    }
  }
}

/**
 * Scores of 64 rows, whose queries stay in shared memory: a warp multiplies 32 rows by half the tokens
 * over every other step of the depth, then adds what its partner found for 16 of the rows.
 */
export function scoresBySplitDepth(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: Value<'u32'>,
  copies: Steps,
): Scores {
  const { tokensPerWarp, depthSteps } = tileShape(tile);
  const { element } = tile;
  const half = place.rowTile.and(1).named('half');
  const kept = accumulators(k, tokensPerWarp);
  const given = accumulators(k, tokensPerWarp);
  k.section('scores', () => {
    const start = half.shl(4);
    const row = (rowTile: Value<'u32'>) => k.mad(rowTile, 16, place.lane.and(15));
    const ownRows = leftFragments(k, shared.query.row(row(place.rowTile)), start);
    const partnerRows = leftFragments(k, shared.query.row(row(place.rowTile.xor(1))), start);
    const first = place.group.mul(tokensPerWarp);
    const keys = rightFragments(k, (token) => shared.keys.row(stage, token.add(first)), start);
    const multiply = (column: number) => {
      const own = k.ldmatrix(ownRows.at(column), 4);
      const partner = k.ldmatrix(partnerRows.at(column), 4);
      for (let j = 0; j < tokensPerWarp; j += 16) {
        const at = keys.at(column).bytes(j * rowBytes(shared.keys));
        const [b0, b1, b2, b3] = k.ldmatrix(at, 4);
        k.mma(element, kept[j / 8], own, [b0, b1]);
        k.mma(element, given[j / 8], partner, [b0, b1]);
        k.mma(element, kept[j / 8 + 1], own, [b2, b3]);
        k.mma(element, given[j / 8 + 1], partner, [b2, b3]);
      }
    };
    const pairs = Math.floor(depthSteps / 2);
    for (let step = 0; step < pairs; step++) {
      multiply(step * 32);
      copies.next();
    }
    if (depthSteps % 2 === 1) {
      k.if(half.eq(0), () => multiply((depthSteps - 1) * 16), { uniform: true });
    }
  });
  k.section('exchange', () => exchange(k, tile, shared, place, half, kept, given));
  return kept;
}

/**
 * Adds what the partner of a warp found over the other half of the depth: the sums of the warp's own
 * tokens. `meanwhile` is built while the warps wait for each other.
 */
export function meetHalfDepths(
  k: Ops,
  shared: MlaShared,
  { group, warp, lane }: WarpPlace,
  [own, partners]: Scores,
  meanwhile: () => void,
): Scores {
  const { depthPartials } = shared;
  depthPartials.at(warp, lane, 0).storeVec(partners);
  meanwhile();
  k.barrier(group.shr(1).add(firstPairBarrier), 64);
  const found = depthPartials.at(warp.xor(1), lane, 0).loadVec(4);
  meanwhile();
  own.forEach((s, i) => {
    s.addTo(found[i]);
  });
  return [own];
}

/** Barriers from this one on belong to pairs of warps; 0 is the CTA's. */
const firstPairBarrier = 1;

function exchange(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  { warp, lane }: WarpPlace,
  half: Value<'u32'>,
  kept: Scores,
  given: Scores,
): void {
  const { partials } = shared.scratch;
  const give = (slot: Value<'u32'>) => {
    given.forEach((acc, j) => {
      partials.at(slot, j, lane, 0).storeVec(acc);
    });
  };
  const take = (slot: Value<'u32'>) => {
    kept.forEach((acc, j) => {
      partials
        .at(slot, j, lane, 0)
        .loadVec(4)
        .forEach((s, i) => {
          acc[i].addTo(s);
        });
    });
  };
  const pair = warp.shr(1);
  /** Only the two warps wait for each other. */
  const meet = () => k.barrier(pair.add(firstPairBarrier), 64);
  if (tile.exchangeRounds === 1) {
    give(warp);
    meet();
    take(warp.xor(1));
    return;
  }
  const isFirst = half.eq(0);
  const isSecond = half.ne(0);
  k.if(isSecond, () => give(pair), { uniform: true });
  meet();
  k.if(isFirst, () => take(pair), { uniform: true });
  meet();
  k.if(isFirst, () => give(pair), { uniform: true });
  meet();
  k.if(isSecond, () => take(pair), { uniform: true });
}
