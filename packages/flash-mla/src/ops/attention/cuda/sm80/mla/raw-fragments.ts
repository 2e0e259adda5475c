import { e4m3x4ToF16x2, type Ops, type Value } from '@flash-mla/ptx';
import type { Fragment, KeyUnit, ValueUnit } from '../../../../kernel-lib/cuda/sm80/fragments.ts';
import { type Load, loadingAhead } from '../../../../kernel-lib/cuda/sm80/steps.ts';
import type { WarpPlace } from './place.ts';
import type { MlaShared } from './shared.ts';
import { type MlaTile, tileShape } from './tile.ts';

/*
 * Fragments of f16 from e4m3 rows in shared memory. `ldmatrix` takes a row's 16 bytes for 8 cells of 16
 * bits and gives lane l the bytes 4·(l mod 4) … + 3 of row l / 4: as f16 those are the two registers of
 * a fragment of depth 16 whose columns stand in the order 0 1 4 5 8 9 12 13 2 3 6 7 10 11 14 15. Left
 * and right operands share that order, so that their product is right.
 */

/** Columns of a chunk: the depth of one multiplication. */
const chunk = 16;

/** Four e4m3 as two fragment registers. */
const decode = (k: Ops, word: Value<'e4m3x4'>): [Value<'f16x2'>, Value<'f16x2'>] =>
  e4m3x4ToF16x2(k, word, { nan: true });

/** What part of the depth a warp multiplies: its steps, and how to reach them. */
interface DepthShare {
  readonly steps: number;
  /** Steps that lie one after the other from `first` on; one more, if there is one, is the last of all. */
  readonly inOrder: number;
  readonly first: Value<'u32'> | 0;
  /** Whether the last step of all is another warp's, so that this one must count it as 0. */
  readonly isLastForeign?: Value<'pred'>;
}

/** An odd step is multiplied by both warps that share a depth: by one of them with zeros for queries. */
function depthShare(tile: MlaTile, place: WarpPlace): DepthShare {
  const { depthSteps } = tileShape(tile);
  if (tile.depthParts === 1) return { steps: depthSteps, inOrder: depthSteps, first: 0 };
  const inOrder = Math.floor(depthSteps / 2);
  const part = place.group.and(1);
  return {
    steps: Math.ceil(depthSteps / 2),
    inOrder,
    first: part.mul(inOrder),
    ...(depthSteps % 2 === 1 && { isLastForeign: part.ne(0) }),
  };
}

/** Steps of the depth that a warp multiplies where keys are raw. */
export const rawDepthSteps = (tile: MlaTile): number =>
  Math.ceil(tileShape(tile).depthSteps / tile.depthParts);

/** The left operand of a warp's step of the depth: rows of a row tile that lie in a stage of key rows. */
export function rawQueryFragments(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: number,
): (step: number) => Fragment[] {
  const row = place.rowTile.shl(4).add(place.lane.and(15));
  const all = shared.rawKeys.row(stage, row).at(0);
  const { first, inOrder, isLastForeign } = depthShare(tile, place);
  const own = first === 0 ? all : all.at(first.mul(chunk));
  const last = (tileShape(tile).depthSteps - 1) * chunk;
  return (step) => {
    const [upper, lower] = k.ldmatrix(step < inOrder ? own.at(step * chunk) : all.at(last), 2);
    const [a0, a2] = decode(k, upper);
    const [a1, a3] = decode(k, lower);
    const fragments = [a0, a1, a2, a3];
    if (step < inOrder || isLastForeign === undefined) return fragments;
    return fragments.map((word) => k.select<'b32'>(isLastForeign, 0, word.as('b32')).as('f16x2'));
  };
}

/** Keeps the first steps' query fragments in shared memory, as the lanes hold them. */
export function keepRawFragments(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  fragments: (step: number) => readonly Fragment[],
): void {
  const keep = () => {
    for (let step = 0; step < tile.sharedQuerySteps; step++) {
      const words = fragments(step).map((word) => word.as('b32'));
      shared.queryFragments.at(place.rowTile, step, place.lane, 0).storeVec(words);
    }
  };
  k.if(place.group.eq(0), keep, { uniform: true });
}

/** Reads what {@link keepRawFragments} kept. */
export function keptFragments(
  shared: MlaShared,
  place: WarpPlace,
): (step: number) => readonly Fragment[] {
  return (step) =>
    shared.queryFragments
      .at(place.rowTile, step, place.lane, 0)
      .loadVec(4)
      .map((word) => word.as('f16x2'));
}

/** Right operands of q·k. */
export function rawKeyUnits(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: Value<'u32'>,
): Generator<KeyUnit> {
  const loads = (tile.depthParts === 1 ? wholeDepthLoads : halfDepthLoads)(
    k,
    tile,
    shared,
    place,
    stage,
  );
  return loadingAhead(loads, tile.loadsAhead);
}

/** Of the warp's tokens, four steps of the depth at a time. */
function* wholeDepthLoads(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: Value<'u32'>,
): Generator<Load<KeyUnit>> {
  const { tokensPerWarp, depthSteps } = tileShape(tile);
  const token = k.mad(place.group, tokensPerWarp, place.lane.and(7));
  const column = place.lane.shr(3).mul(chunk);
  const rows = Array.from({ length: tokensPerWarp / 8 }, (_, j) =>
    shared.rawKeys.row(stage, token.add(8 * j)).at(column),
  );
  const load =
    (step: number, tokens: number, count: 1 | 2 | 4): Load<KeyUnit> =>
    () => {
      const words = k.ldmatrix(rows[tokens].at(step * chunk), count);
      return () => words.map((word, i) => ({ step: step + i, tokens, right: decode(k, word) }));
    };
  for (let step = 0; step < depthSteps; step += 4) {
    const left = depthSteps - step;
    for (const tokens of rows.keys()) {
      yield load(step, tokens, left >= 4 ? 4 : left >= 2 ? 2 : 1);
      if (left === 3) yield load(step + 2, tokens, 1);
    }
  }
}

/**
 * Of the 16 tokens that two warps share, over the warp's part of the depth, two steps at a time. The
 * tokens that the warp itself will weigh come first, those of its partner next.
 */
function* halfDepthLoads(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: Value<'u32'>,
): Generator<Load<KeyUnit>> {
  const { steps, inOrder, first } = depthShare(tile, place);
  const eight = place.group.xor(place.lane.shr(3).and(1));
  const row = shared.rawKeys.row(stage, k.mad(eight, 8, place.lane.and(7)));
  const column = place.lane.shr(4);
  const own = row.at((first === 0 ? column : column.add(first)).mul(chunk));
  for (let step = 0; step < steps; step += step + 2 <= inOrder ? 2 : 1) {
    yield () => {
      const from =
        step < inOrder ? own.at(step * chunk) : row.at((tileShape(tile).depthSteps - 1) * chunk);
      const words = k.ldmatrix(from, step + 2 <= inOrder ? 4 : 2);
      return () =>
        words.map((word, i) => ({ step: step + (i >> 1), tokens: i & 1, right: decode(k, word) }));
    };
  }
}

/**
 * Right operands of weights · V, 16 tokens and up to 32 columns at a time. A transposed block gives a lane
 * two columns of two tokens, which swap their middle bytes to become pairs of tokens: even columns of 16
 * make one operand, odd ones the next.
 */
export function rawValueLoads(
  k: Ops,
  tile: MlaTile,
  shared: MlaShared,
  place: WarpPlace,
  stage: Value<'u32'>,
): (firstToken: number) => Generator<Load<ValueUnit>> {
  const { columnsPerWarp } = tileShape(tile);
  const column = k.mad(place.warp, columnsPerWarp, place.lane.shr(4).mul(chunk));
  const from = shared.rawKeys.row(stage, place.lane.and(15)).at(column);
  const pitch = shared.rawKeys.placed.strides[1];
  return function* (firstToken) {
    const rows = from.bytes(firstToken * pitch);
    for (let at = 0; at < columnsPerWarp; at += 2 * chunk) {
      const blocks = at + chunk < columnsPerWarp ? 2 : 1;
      yield () => {
        const words = k.ldmatrix(rows.at(at), blocks === 2 ? 4 : 2, { trans: true });
        return () => {
          const unit: { columns: number; right: Fragment[] }[] = [];
          for (let b = 0; b < blocks; b++) {
            const [first, second] = [0, 1].map((i) => {
              const pairs = k.prmt(words[2 * b + i].as('b32'), 0, 0x3120);
              return decode(k, pairs.as('e4m3x4'));
            });
            for (const odd of [0, 1]) {
              unit.push({ columns: at / 8 + 2 * b + odd, right: [first[odd], second[odd]] });
            }
          }
          return unit;
        };
      };
    }
  };
}
