import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type SharedArray,
  type Value,
} from '@flash-mla/ptx';
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
export interface TopKSelectConfig {
  readonly topK: number;
  readonly hasStarts: boolean;
  /** Rows are too long for one CTA: what may be chosen of them has been listed. */
  readonly listed: boolean;
  /** Indices are places in a paged cache. */
  readonly mapped: boolean;
}

const params = {
  logits: global('f32'),
  starts: global('s32'),
  ends: global('s32'),
  columns: 'u32',
  stride: 'u64',
  above: global('u32'),
  list: global('u32'),
  listLength: 'u32',
  info: global('u32'),
  blockTable: global('u32'),
  /** Pages of a request, and elements between requests. */
  tableWidth: 'u32',
  tableStride: 'u64',
  pageSize: 'u32',
  queriesPerRequest: 'u32',
  /** The first row of this launch. */
  firstRow: 'u32',
  indices: global('u32'),
} as const satisfies ParamDecls;

export type TopKSelectParams = typeof params;

const none = 0xffff_ffff;

/**
 * A CTA chooses of a row, or of a list of its columns, by the digits of their values from the highest
 * on: a histogram says which digit the last one chosen has, and only values with that digit go on.
 */
export function buildTopKSelect(config: TopKSelectConfig): Kernel<TopKSelectParams> {
  const { topK, hasStarts, listed, mapped } = config;
  const shared = {
    ...scanFields,
    ...(listed && { chosen: field('u32', [topK]), above: field('u32', [topK]) }),
  };
  const options = { name: 'sm80_top_k_select', params, shared, block: [topKThreads] as const };
  return defineKernel(options, (k, p) => {
    const row = k.blockIdx.x.named('row');
    const thread = k.threadIdx.x;
    const { histogram, partial, partialBefore, found } = k.shared;
    const lists = k.shared as unknown as Record<'chosen' | 'above', SharedArray<'u32'>>;
    const range = rangeOfRow(k, p, row, hasStarts);
    const zero = k.constant('u32', 0);
    const [numAbove, numListed, digit] = listed
      ? p.info.at(k.mulWide(row, 4)).loadVec(4)
      : [zero, zero, zero];
    const fits = numListed.le(p.listLength);
    const count = listed ? k.select(fits, numListed, range.count) : range.count;
    const list = p.list.at(k.mulWide(row, p.listLength));
    const columnOf = (index: Value<'u32'>, isThere: Value<'pred'>) =>
      listed ? k.select(fits, list.at(index).loadIf(isThere.and(fits), 0), index) : index;
    const load = (index: Value<'u32'>, isThere: Value<'pred'>) =>
      orderOf(range.first.at(columnOf(index, isThere)).loadIf(isThere, 0));

    const out = p.indices.at(k.mulWide(row, topK));
    const pages = p.blockTable.at(
      k.widen(row.add(p.firstRow).div(p.queriesPerRequest)).mul(p.tableStride),
    );
    const store = (place: Value<'u32'>, column: Value<'u32'>) => {
      if (!mapped) {
        out.at(place).store(column);
        return;
      }
      const number = column.div(p.pageSize);
      const isInside = number.lt(p.tableWidth);
      const page = pages.at(number).loadIf(isInside, none);
      const index = k.mad(page, p.pageSize, column.sub(number.mul(p.pageSize)));
      out.at(place).store(k.select(page.lt(0x8000_0000), index, none, 'u32'));
    };

    const total = range.count.min(topK).named('total');
    k.for({ from: total.add(thread), to: topK, step: topKThreads }, (place) => {
      out.at(place).store(none);
    });

    const prefix = k.var('u32', listed ? digit.shl(digits[0].shift) : 0);
    const need = k.var('u32', k.constant('u32', topK).sub(numAbove));
    const chooses = listed ? numListed.gt(0) : range.count.gt(topK);
    k.if(
      chooses,
      () => {
        for (const { shift, bits } of listed ? digits.slice(1) : digits) {
          k.section(`digit at bit ${shift}`, () => {
            clearHistogram(k, histogram);
            k.barrier();
            eachKey(k, { from: zero, to: count }, load, (key) => {
              const own = key.shr(shift);
              const add = () => k.reduceAdd(histogram.at(own.and(2 ** bits - 1)), 1);
              if (shift + bits === 32) add();
              else k.if(own.shr(bits).eq(prefix.shr(shift + bits)), add);
            });
            k.barrier();
            const bin = k.constant('u32', numBins - 2).sub(thread.mul(2));
            const [low, high] = histogram.at(bin).loadVec(2) as [Value<'u32'>, Value<'u32'>];
            const { before } = scan(k, partial, low.add(high));
            findBin(k, { high, low }, before, need, (own, above) => {
              found.at(0).store(own);
              found.at(1).store(above);
            });
            k.barrier();
            prefix.set(prefix.or(found.at(0).load().shl(shift)));
            need.set(need.sub(found.at(1).load()));
            k.barrier();
          });
        }
      },
      { uniform: true },
    );

    const numChosen = total.sub(numAbove);
    k.section('write', () => {
      // Without a choice all are above the prefix, which is less than the order of any number.
      const kindOf = (index: Value<'u32'>, isThere: Value<'pred'>) => {
        const key = load(index, isThere);
        const isOne = listed ? isThere.and(key.shr(digits[0].shift).eq(digit)) : isThere;
        const isAbove = isOne.and(key.gt(prefix));
        const isEqual = isOne.and(key.eq(prefix));
        return { isAbove, isEqual, above: mask(k, isAbove), equal: mask(k, isEqual) };
      };
      const [ofAbove, ofEqual] = [k.var('u32', 0), k.var('u32', 0)];
      const all = { from: zero, to: count };
      eachStretch(k, all, (index, isThere) => {
        const { above, equal } = kindOf(index, isThere);
        ofAbove.addTo(k.popc(above));
        ofEqual.addTo(k.popc(equal));
      });
      k.if(k.laneId.eq(0), () => {
        partial.at(k.warpId).store(ofAbove);
        partialBefore.at(k.warpId).store(ofEqual);
      });
      k.barrier();
      const aboveBefore = k.var('u32', sumOfWarps(k, partial).before);
      const equalBefore = k.var('u32', sumOfWarps(k, partialBefore).before);
      eachStretch(k, all, (index, isThere) => {
        const { isAbove, isEqual, above, equal } = kindOf(index, isThere);
        const rank = equalBefore.add(lanesBefore(k, equal));
        const place = aboveBefore.add(lanesBefore(k, above)).add(rank.min(need));
        k.if(isAbove.or(isEqual.and(rank.lt(need))), () => {
          const column = columnOf(index, isThere);
          if (listed) lists.chosen.at(place).store(column);
          else store(place, column);
        });
        aboveBefore.addTo(k.popc(above));
        equalBefore.addTo(k.popc(equal));
      });
    });
    if (!listed) return;
    k.section('merge', () => {
      const above = p.above.at(k.mulWide(row, topK));
      k.for({ from: thread, to: numAbove, step: topKThreads }, (i) => {
        lists.above.at(i).store(above.at(i).load());
      });
      k.barrier();
      const ways = [
        { own: lists.above, length: numAbove, other: lists.chosen, others: numChosen },
        { own: lists.chosen, length: numChosen, other: lists.above, others: numAbove },
      ];
      for (const { own, length, other, others } of ways) {
        k.for({ from: thread, to: length, step: topKThreads, unroll: false }, (i) => {
          const column = own.at(i).load();
          store(i.add(numBelow(k, other, others, column, topK)), column);
        });
      }
    });
  });
}

const mask = (k: Ops, is: Value<'pred'>) => k.ballot(is).as('u32');

/** How many of the sorted numbers are below one. */
function numBelow(
  k: Ops,
  sorted: SharedArray<'u32'>,
  length: Value<'u32'>,
  value: Value<'u32'>,
  most: number,
): Value<'u32'> {
  const below = k.var('u32', 0);
  for (let step = 2 ** Math.floor(Math.log2(most)); step >= 1; step /= 2) {
    const next = below.add(step);
    k.if(next.le(length), () => {
      k.if(sorted.at(next.sub(1)).load().lt(value), () => below.set(next));
    });
  }
  return below;
}
