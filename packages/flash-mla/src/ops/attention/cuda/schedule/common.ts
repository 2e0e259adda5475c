import {
  field,
  global,
  type KernelBuilder,
  type Operand,
  type Ops,
  type ParamDecls,
  type ParamValues,
  sharedLayout,
  type Value,
} from '@flash-mla/ptx';
import { partFields } from '../../schedule/metadata.ts';
import { partRow } from '../part-row.ts';

/** What the code of the tile-schedule kernel depends on. */
export interface TileScheduleConfig {
  /** Dense: lengths are tokens of the cache. Sparse: entries of `indices` that count. */
  readonly kind: 'dense' | 'sparse';
  /** Whether parts begin and end at cuts that do not depend on the batch. */
  readonly deterministic: boolean;
  /** Of the CTA: a power of two from 32 to 1024. More warps than an overhead has blocks. */
  readonly threads: number;
}

/** The most threads of a CTA. */
export const mostThreads = 1024;
const mostWarps = mostThreads / 32;

export const params = {
  /** (b) tokens; sparse: entries of the main and of the extra cache. 0: each request has the most. */
  lengths: global('s32'),
  extraLengths: global('s32'),
  mostTokens: 's32',
  mostExtra: 's32',
  /** (parts, 8) and (b + 1), as `computeTileSchedule` documents them. */
  metadata: global('s32'),
  numSplits: global('s32'),
  batch: 'u32',
  numParts: 'u32',
  blockTokens: 's32',
  overheadBlocks: 's32',
  splitBlocks: 's32',
} as const satisfies ParamDecls;

export type TileScheduleParams = typeof params;
export type Params = ParamValues<TileScheduleParams>;

export const shared = sharedLayout({
  /** Blocks of the requests at hand. */
  blocks: field('s32', [mostThreads]),
  warpSums: field('s32', [2, mostWarps]),
  /** Room in a part before each 32 requests, for each cost that is tried. */
  rooms: field('s32', [mostWarps, mostWarps]),
});
export type Builder = KernelBuilder<TileScheduleParams, (typeof shared)['decls']>;

export function requestBlocks(
  k: Ops,
  { kind }: TileScheduleConfig,
  p: Params,
  request: Value<'u32'>,
): Value<'s32'> {
  const blocks = (lengths: Params['lengths'], most: Value<'s32'>) => {
    const length = k.var('s32', most);
    k.if(lengths.address().ne(0), () => {
      length.set(lengths.at(request).load().max(0).min(most));
    });
    // Not length + blockTokens − 1, which could overflow. Unsigned, as that is faster.
    const before = length.sub(1).as('u32').div(p.blockTokens.as('u32')).as('s32');
    return k.select<'s32'>(length.eq(0), 0, before.add(1));
  };
  const main = blocks(p.lengths, p.mostTokens).max(1);
  return kind === 'dense' ? main : main.add(blocks(p.extraLengths, p.mostExtra));
}

/** The sum over the CTA's threads, for all of them. */
export function ctaSum(k: Builder, threads: number, v: Value<'s32'>): Value<'s32'> {
  const sum = k.reduce('add', v);
  k.barrier();
  k.if(k.laneId.eq(0), () => k.shared.warpSums.at(0, k.warpId).store(sum));
  k.barrier();
  return k.reduce('add', ofWarps(k, threads, 0, 0));
}

/** What each warp left in shared memory, in the lane of its number; other lanes get `none`. */
export function ofWarps(
  k: Builder,
  threads: number,
  row: number,
  none: Operand<'s32'>,
): Value<'s32'> {
  const warps = threads / 32;
  const value = k.shared.warpSums.at(row, k.laneId.and(warps - 1)).load();
  return warps === mostWarps ? value : k.select(k.laneId.lt(warps), value, none);
}

/** A sum over threads: over those before this one and over all of them. */
export interface Sum {
  readonly before: Value<'s32'>;
  readonly total: Value<'s32'>;
}

/** Sums up one or two values over the CTA's threads. */
export function ctaSums(k: Builder, threads: number, values: readonly Value<'s32'>[]): Sum[] {
  const inWarp = values.map((v) => warpSumUpTo(k, v));
  k.barrier();
  k.if(k.laneId.eq(31), () => {
    for (const [i, sum] of inWarp.entries()) k.shared.warpSums.at(i, k.warpId).store(sum);
  });
  k.barrier();
  return values.map((v, i) => {
    const warpSum = ofWarps(k, threads, i, 0);
    const upTo = warpSumUpTo(k, warpSum);
    const before = k.shuffle(upTo.sub(warpSum), k.warpId);
    return {
      before: before.add(inWarp[i] as Value<'s32'>).sub(v),
      total: k.shuffle(upTo, 31),
    };
  });
}

/** The sum over the lanes up to this one. */
export function warpSumUpTo(k: Ops, v: Value<'s32'>): Value<'s32'> {
  let sum = v;
  for (let distance = 1; distance < 32; distance *= 2) {
    const below = k.shuffleUp(sum, distance);
    sum = k.select(k.laneId.ge(distance), sum.add(below), sum);
  }
  return sum;
}

/** Runs `round` for as many requests as there are threads, in turn; lanes beyond the batch have 0 blocks. */
export function eachRound(
  k: Ops,
  p: Params,
  threads: number,
  blocksOf: (request: Value<'u32'>) => Value<'s32'>,
  round: (first: Value<'u32'>, request: Value<'u32'>, blocks: Value<'s32'>) => void,
): void {
  k.for({ to: p.batch, step: threads, name: 'round', uniform: true }, (first) => {
    const request = first.add(k.threadIdx.x);
    const blocks = k.var('s32', 0);
    k.if(request.lt(p.batch), () => blocks.set(blocksOf(request)));
    round(first, request, blocks);
  });
}

/** A part that got no work. */
export function emptyPart(p: Params, part: Value<'u32'>, request: Value<'s32'>): void {
  const row = partRow(p.metadata, part);
  row('beginRequest').store(request);
  row('endRequest').store(request.sub(1));
  const others = partFields.filter((name) => name !== 'beginRequest' && name !== 'endRequest');
  for (const name of others) row(name).store(0);
}
