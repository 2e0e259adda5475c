import { defineKernel, global, type Kernel, type ParamDecls } from '@flash-mla/ptx';
import {
  clearHistogram,
  digits,
  eachKey,
  eachStretch,
  findBin,
  lanesBefore,
  numBins,
  orderOf,
  rangeOfRow,
  scan,
  scanFields,
  sumOfWarps,
  topKThreads,
} from './top-k-parts.ts';

/** What the code depends on. */
export interface TopKPartConfig {
  readonly topK: number;
  readonly hasStarts: boolean;
}

const params = {
  logits: global('f32'),
  starts: global('s32'),
  ends: global('s32'),
  columns: 'u32',
  stride: 'u64',
  /** Columns of a part; the grid has parts along x and rows along y. */
  partLength: 'u32',
  /** (rows, parts, 2048): how many values have which first digit. */
  histograms: global('u32'),
  /** (rows, K): columns that are chosen by their first digit alone. */
  above: global('u32'),
  /** (rows, `listLength`): columns whose first digit is that of the last one chosen. */
  list: global('u32'),
  listLength: 'u32',
  /** (rows, 4): how many there are of the two, and that digit. */
  info: global('u32'),
} as const satisfies ParamDecls;

export type TopKPartParams = typeof params;

const [first] = digits;

/** Counts the first digits of a part of a row. */
export function buildTopKHistogram({ hasStarts }: TopKPartConfig): Kernel<TopKPartParams> {
  const { histogram } = scanFields;
  const shared = { histogram };
  const options = { name: 'sm80_top_k_histogram', params, shared, block: [topKThreads] as const };
  return defineKernel(options, (k, p) => {
    const row = k.blockIdx.y;
    const range = rangeOfRow(k, p, row, hasStarts);
    clearHistogram(k, k.shared.histogram);
    k.barrier();
    const from = k.blockIdx.x.mul(p.partLength).min(range.count);
    const to = from.add(p.partLength).min(range.count);
    const load = (index: typeof from, isThere: ReturnType<typeof from.lt>) =>
      orderOf(range.first.at(index).loadIf(isThere, 0));
    eachKey(k, { from, to }, load, (key) => {
      k.reduceAdd(k.shared.histogram.at(key.shr(first.shift)), 1);
    });
    k.barrier();
    const part = k.mad(row, k.gridDim.x, k.blockIdx.x);
    const out = p.histograms.at(k.mulWide(part, numBins));
    for (let i = 0; i < numBins; i += topKThreads) {
      const bin = k.threadIdx.x.add(i);
      out.at(bin).store(k.shared.histogram.at(bin).load());
    }
  });
}

/** Writes down the columns of a part that are chosen, and those that may be, in their order. */
export function buildTopKPartition({ topK, hasStarts }: TopKPartConfig): Kernel<TopKPartParams> {
  const { partial, partialBefore, found } = scanFields;
  const shared = { partial, partialBefore, found };
  const options = { name: 'sm80_top_k_partition', params, shared, block: [topKThreads] as const };
  return defineKernel(options, (k, p) => {
    const [row, part] = [k.blockIdx.y, k.blockIdx.x];
    const range = rangeOfRow(k, p, row, hasStarts);
    const from = part.mul(p.partLength).min(range.count).named('from');
    const to = from.add(p.partLength).min(range.count).named('to');
    k.if(part.ne(0).and(from.ge(to)), () => k.exit(), { uniform: true });
    const takesAll = range.count.le(topK);
    const totals = k.vars('u32', 2, 0);
    const befores = k.vars('u32', 2, 0);
    const [totalLow, totalHigh, beforeLow, beforeHigh] = [...totals, ...befores] as [
      (typeof totals)[0],
      (typeof totals)[0],
      (typeof totals)[0],
      (typeof totals)[0],
    ];
    k.section('the histograms of all parts', () => {
      const bin = k.constant('u32', numBins - 2).sub(k.threadIdx.x.mul(2));
      const rowStart = p.histograms.at(k.mulWide(row.mul(k.gridDim.x), numBins));
      k.for({ to: k.gridDim.x, uniform: true }, (other) => {
        const [low, high] = rowStart.at(k.mulWide(other, numBins)).at(bin).loadVec(2);
        totalLow.addTo(low);
        totalHigh.addTo(high);
        k.if(
          other.lt(part),
          () => {
            beforeLow.addTo(low);
            beforeHigh.addTo(high);
          },
          { uniform: true },
        );
      });
    });
    const { digit, aboveBefore, listedBefore } = k.section('the digit of the last one', () => {
      const found = k.shared.found;
      const all = scan(k, k.shared.partial, totalLow.add(totalHigh));
      const earlier = scan(k, k.shared.partialBefore, beforeLow.add(beforeHigh));
      const counts = { high: totalHigh, low: totalLow };
      const need = k.constant('u32', topK);
      findBin(k, counts, all.before, need, (own, above, count, isLow) => {
        const place = (i: number) => found.at(i);
        place(0).store(own);
        place(1).store(above);
        place(2).store(count);
        place(3).store(isLow ? earlier.before.add(beforeHigh) : earlier.before);
        place(4).store(isLow ? beforeLow : beforeHigh);
      });
      k.if(takesAll.and(k.threadIdx.x.eq(0)), () => {
        [0, range.count, 0, from, 0].forEach((value, i) => {
          found.at(i).store(value);
        });
      });
      k.barrier();
      const read = (i: number) => found.at(i).load();
      k.if(part.eq(0).and(k.threadIdx.x.eq(0)), () => {
        const info = p.info.at(k.mulWide(row, 4));
        info.storeVec([read(1), read(2), read(0), k.constant('u32', 0)]);
      });
      return { digit: read(0), aboveBefore: read(3), listedBefore: read(4) };
    });
    const kindOf = (index: typeof from, isThere: ReturnType<typeof from.lt>) => {
      const own = orderOf(range.first.at(index).loadIf(isThere, 0)).shr(first.shift);
      const isAbove = isThere.and(own.gt(digit).or(takesAll));
      const isListed = isThere.and(own.eq(digit)).and(takesAll.not());
      const maskOf = (is: typeof isAbove) => k.ballot(is).as('u32');
      return { isAbove, isListed, above: maskOf(isAbove), listed: maskOf(isListed) };
    };
    const [numAbove, numListed] = [k.var('u32', 0), k.var('u32', 0)];
    k.section('count', () => {
      eachStretch(k, { from, to }, (index, isThere) => {
        const { above, listed } = kindOf(index, isThere);
        numAbove.addTo(k.popc(above));
        numListed.addTo(k.popc(listed));
      });
      // Its readers have passed the barrier above.
      k.if(k.laneId.eq(0), () => {
        k.shared.partial.at(k.warpId).store(numAbove);
        k.shared.partialBefore.at(k.warpId).store(numListed);
      });
      k.barrier();
    });
    k.section('write', () => {
      const toAbove = k.var('u32', aboveBefore.add(sumOfWarps(k, k.shared.partial).before));
      const toList = k.var('u32', listedBefore.add(sumOfWarps(k, k.shared.partialBefore).before));
      const ownAbove = p.above.at(k.mulWide(row, topK));
      const ownList = p.list.at(k.mulWide(row, p.listLength));
      eachStretch(k, { from, to }, (index, isThere) => {
        const { isAbove, isListed, above, listed } = kindOf(index, isThere);
        k.if(isAbove, () => ownAbove.at(toAbove.add(lanesBefore(k, above))).store(index));
        const place = toList.add(lanesBefore(k, listed));
        k.if(isListed.and(place.lt(p.listLength)), () => ownList.at(place).store(index));
        toAbove.addTo(k.popc(above));
        toList.addTo(k.popc(listed));
      });
    });
  });
}
