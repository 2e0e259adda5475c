import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  packPair,
  segmentMax,
  segmentSum,
  sharedLayout,
  type Value,
} from '@flash-mla/ptx';
import { sinkFactor } from './mla/sink.ts';
import type { Element } from './mla/tile.ts';

/** What the code of the combine kernel depends on. */
export interface CombineConfig {
  readonly outElement: Element;
  /** A multiple of 16. */
  readonly headDimV: number;
  readonly hasSink: boolean;
}

/** Columns that a thread adds up. */
const columnsPerThread = 4;
/** Splits that a thread loads before it adds the first. */
const loadsInFlight = 8;
const mostThreads = 512;
const mostGroups = 8;

/** Threads for a row, and groups of them that take every so-many-th split. */
function shape({ headDimV }: CombineConfig) {
  const lanes = headDimV / columnsPerThread;
  const groups = Math.min(mostGroups, Math.floor(mostThreads / lanes));
  return { lanes, groups, threads: Math.ceil((lanes * groups) / 32) * 32 };
}

const params = ({ outElement }: CombineConfig) =>
  ({
    /** (slots, rows, dV) and (slots, rows), rows = sQ · hQ; log-sum-exp in base 2. */
    partialOut: global('f32'),
    partialLse: global('f32'),
    /** (b + 1): the slots of a request are those from its entry up to the next. */
    numSplits: global('s32'),
    out: global(outElement),
    lse: global('f32'),
    sink: global('f32'),
    seqLenQ: 'u32',
    numHeadsQ: 'u32',
    /** Rows of a CTA. */
    rowsPerCta: 'u32',
  }) as const satisfies ParamDecls;

export type CombineParams = ReturnType<typeof params>;

/**
 * Merges the splits of each row: out = Σ 2^(lse_i − lse) · out_i. Grid: (⌈rows / rowsPerCta⌉, b); CTAs
 * of requests that were not split leave at once.
 */
export function buildCombine(config: CombineConfig): Kernel<CombineParams> {
  const { headDimV, outElement } = config;
  const { lanes, groups, threads } = shape(config);
  const shared = sharedLayout({ sums: field('f32', [groups - 1, headDimV]) });
  return defineKernel(
    { name: 'sm80_combine', params: params(config), shared, block: [threads] },
    (k, p) => {
      const request = k.blockIdx.y;
      const first = p.numSplits.at(request).load().as('u32');
      const count = p.numSplits.at(request).at(1).load().as('u32').sub(first).named('splits');
      k.if(count.le(1), () => k.exit(), { uniform: true });

      const group = k.threadIdx.x.div(lanes).named('group');
      const column = k.threadIdx.x.rem(lanes).mul(columnsPerThread).named('column');
      const rows = p.seqLenQ.mul(p.numHeadsQ).named('rows');
      const begin = k.blockIdx.x.mul(p.rowsPerCta);
      const end = begin.add(p.rowsPerCta).min(rows);
      k.for({ from: begin, to: end, name: 'row', uniform: true, unroll: false }, (row) => {
        const slot = (split: Value<'u32'>) => k.mulWide(first.add(split), rows).add(k.widen(row));
        const lse2 = (split: Value<'u32'>) => p.partialLse.at(slot(split));
        const total = k.section('log-sum-exp', () => mergedLse(k, count, lse2));
        const head = row.rem(p.numHeadsQ);
        const isEmpty = total.eq(Number.NEGATIVE_INFINITY);
        const base = k.select<'f32'>(isEmpty, 0, total);

        const sums = k.vars('f32', columnsPerThread, 0);
        k.section('outputs', () => {
          k.for(
            { from: group, to: count, step: groups * loadsInFlight, unroll: false },
            (split) => {
              const splits = Array.from({ length: loadsInFlight }, (_, i) => split.add(i * groups));
              const loaded = splits.map((s) => {
                const at = slot(s.min(count.sub(1)));
                const out = p.partialOut.at(at.mul(headDimV)).at(column).loadVec(columnsPerThread);
                return { out, lse: p.partialLse.at(at).load() };
              });
              loaded.forEach(({ out, lse }, i) => {
                k.if(splits[i].lt(count), () => {
                  const weight = k.ex2(lse.sub(base), { ftz: true });
                  sums.forEach((sum, c) => {
                    sum.set(k.fma(weight, out[c], sum));
                  });
                });
              });
            },
          );
        });

        k.if(group.ne(0).and(group.lt(groups)), () => {
          k.shared.sums.at(group.sub(1), column).storeVec(sums);
        });
        k.barrier();
        k.if(group.eq(0), () => {
          for (let g = 1; g < groups; g++) {
            const other = k.shared.sums.at(g - 1, column).loadVec(columnsPerThread);
            sums.forEach((sum, c) => {
              sum.addTo(other[c]);
            });
          }
          const share = config.hasSink ? sinkFactor(k, total, p.sink.at(head).load()) : undefined;
          const factor = (x: Value<'f32'>) =>
            share === undefined ? x : k.select<'f32'>(isEmpty, 0, x.mul(share));
          const [a, b, c, d] = sums.map(factor);
          const at = k.mulWide(request, rows).add(k.widen(row)).mul(headDimV);
          storeFour(k, p.out.at(at).at(column), outElement, [a, b, c, d]);
          k.if(column.eq(0), () => {
            const query = row.div(p.numHeadsQ);
            const lseAt = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
            const natural = k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, total.mul(Math.LN2));
            p.lse.at(lseAt).store(natural);
          });
        });
        k.barrier();
      });
    },
  );
}

/** Base-2 log of the sum of 2^lse over all splits; every warp computes it by itself. */
function mergedLse(
  k: Ops,
  count: Value<'u32'>,
  lse2: (split: Value<'u32'>) => Pointer<'global', 'f32'>,
): Value<'f32'> {
  const largest = k.var('f32', Number.NEGATIVE_INFINITY);
  k.for({ from: k.laneId, to: count, step: 32, unroll: false }, (split) => {
    largest.set(largest.max(lse2(split).load()));
  });
  const max = segmentMax(k, largest);
  const base = k.select<'f32'>(max.eq(Number.NEGATIVE_INFINITY), 0, max);
  const sum = k.var('f32', 0);
  k.for({ from: k.laneId, to: count, step: 32, unroll: false }, (split) => {
    sum.addTo(k.ex2(lse2(split).load().sub(base), { ftz: true }));
  });
  return base.add(k.lg2(segmentSum(k, sum)));
}

function storeFour(
  k: Ops,
  to: Pointer<'global', Element>,
  element: Element,
  [a, b, c, d]: readonly Value<'f32'>[],
): void {
  const low = packPair(k, element, a, b).as('b32');
  to.as('b32').storeVec([low, packPair(k, element, c, d).as('b32')]);
}
