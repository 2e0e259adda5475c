/** What the kernels of a top-k share: the order of floats, sums over a CTA, and walks in the order of columns. */

import { field, type Ops, type Pointer, type SharedArray, type Value } from '@flash-mla/ptx';

export const [topKThreads, topKWarps] = [1024, 32];

/** Bits of the digits by which values are compared, from the highest on. */
export const digits = [
  { shift: 21, bits: 11 },
  { shift: 10, bits: 11 },
  { shift: 0, bits: 10 },
] as const;
export const numBins = 2048;

/** Shared memory of a kernel that chooses. */
export const scanFields = {
  histogram: field('u32', [numBins]),
  /** Sums of warps. */
  partial: field('u32', [topKWarps]),
  partialBefore: field('u32', [topKWarps]),
  /** Digit, how many are still to choose of those that have it, how many have it; more for a kernel. */
  found: field('u32', [8]),
};

/** Integers that are ordered as floats are; NaN is as small as −∞, and −0 is 0. */
export function orderOf(value: Value<'f32'>): Value<'u32'> {
  const bits = value.max(Number.NEGATIVE_INFINITY).add(0).as('s32');
  return bits.shr(31).as('u32').or(0x8000_0000).xor(bits.as('u32'));
}

/** Columns of a row that compete: how many, and where the first is. */
export interface RowRange {
  readonly first: Pointer<'global', 'f32'>;
  readonly count: Value<'u32'>;
}

export function rangeOfRow(
  k: Ops,
  p: {
    readonly logits: Pointer<'global', 'f32'>;
    readonly starts: Pointer<'global', 's32'>;
    readonly ends: Pointer<'global', 's32'>;
    readonly columns: Value<'u32'>;
    readonly stride: Value<'u64'>;
  },
  row: Value<'u32'>,
  hasStarts: boolean,
): RowRange {
  const end = p.ends.at(row).load().max(0).as('u32').min(p.columns);
  const start = hasStarts ? p.starts.at(row).load().max(0).as('u32').min(end) : undefined;
  const logits = p.logits.at(k.widen(row).mul(p.stride));
  if (start === undefined) return { first: logits, count: end };
  return { first: logits.at(start), count: end.sub(start).named('count') };
}

/** The exclusive sum over threads before this one, and the sum over all. All threads take part. */
export function scan(
  k: Ops,
  partial: SharedArray<'u32'>,
  value: Value<'u32'>,
): { readonly before: Value<'u32'>; readonly total: Value<'u32'> } {
  const inclusive = k.var('u32', value);
  for (let distance = 1; distance < 32; distance *= 2) {
    const other = k.shuffleUp(inclusive, distance);
    inclusive.set(inclusive.add(k.select(k.laneId.ge(distance), other, 0, 'u32')));
  }
  k.if(k.laneId.eq(31), () => partial.at(k.warpId).store(inclusive));
  k.barrier();
  const { before, total } = sumOfWarps(k, partial);
  return { before: inclusive.sub(value).add(before), total };
}

/** Of numbers of warps in shared memory: the sum of those before this one, and of all. */
export function sumOfWarps(k: Ops, partial: SharedArray<'u32'>) {
  const own = partial.at(k.laneId).load();
  const before = k.reduce('add', k.select(k.laneId.lt(k.warpId), own, 0, 'u32')) as Value<'u32'>;
  return { before, total: k.reduce('add', own) as Value<'u32'> };
}

/** Lanes before this one whose bits are set. */
export const lanesBefore = (k: Ops, mask: Value<'u32'>) =>
  k.popc(mask.and(k.special('lanemask_lt').as('u32')));

/** Columns whose loads a thread has under way. */
const ahead = 8;

/** Each thread calls back with its columns from `from` on before `to`, and what the integers of their order are. */
export function eachKey(
  k: Ops,
  { from, to }: { readonly from: Value<'u32'>; readonly to: Value<'u32'> },
  load: (index: Value<'u32'>, isThere: Value<'pred'>) => Value<'u32'>,
  body: (key: Value<'u32'>) => void,
): void {
  const first = from.add(k.threadIdx.x);
  k.for({ from: first, to, step: ahead * topKThreads, unroll: false }, (start) => {
    const keys = Array.from({ length: ahead }, (_, i) => {
      const index = start.add(i * topKThreads);
      const isThere = index.lt(to);
      return { isThere, key: load(index, isThere) };
    });
    for (const { isThere, key } of keys) k.if(isThere, () => body(key));
  });
}

/** Empties the histogram; the caller has a barrier after it. */
export function clearHistogram(k: Ops, histogram: SharedArray<'u32'>): void {
  for (let i = 0; i < numBins; i += topKThreads) histogram.at(k.threadIdx.x.add(i)).store(0);
}

/** Each warp walks over a stretch of columns, 32 at a time, in their order. */
export function eachStretch(
  k: Ops,
  { from, to }: { readonly from: Value<'u32'>; readonly to: Value<'u32'> },
  body: (index: Value<'u32'>, isThere: Value<'pred'>) => void,
): void {
  const length = to
    .sub(from)
    .add(topKThreads - 1)
    .div(topKThreads)
    .mul(32);
  const first = k.mad(k.warpId, length, from);
  const end = first.add(length).min(to);
  k.for({ from: first, to: end, step: 32, uniform: true }, (start) => {
    const index = start.add(k.laneId);
    body(index, index.lt(end));
  });
}

/** A thread's two bins, in the order of a scan: that of the higher values first. */
export interface TwoBins<V> {
  readonly high: V;
  readonly low: V;
}

/**
 * Finds the bin in which the `need`-th largest value is; the thread that has it calls back with its digit,
 * with the sum over all higher bins, and with whether it is the lower of the thread's two.
 */
export function findBin(
  k: Ops,
  counts: TwoBins<Value<'u32'>>,
  before: Value<'u32'>,
  need: Value<'u32'>,
  body: (digit: Value<'u32'>, above: Value<'u32'>, count: Value<'u32'>, isLow: boolean) => void,
): void {
  const high = k.constant('u32', numBins - 1).sub(k.threadIdx.x.mul(2));
  const between = before.add(counts.high);
  const isHere = (from: Value<'u32'>, count: Value<'u32'>) =>
    from.lt(need).and(from.add(count).ge(need));
  k.if(isHere(before, counts.high), () => body(high, before, counts.high, false));
  k.if(isHere(between, counts.low), () => body(high.sub(1), between, counts.low, true));
}
