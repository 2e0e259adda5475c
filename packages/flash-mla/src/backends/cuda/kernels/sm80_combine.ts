import {
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  packPair,
  segmentMax,
  segmentSum,
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
  /** Whether it may start before the kernel whose results it merges has ended (sm_90 up). */
  readonly overlaps?: boolean;
  /** Warps that share the columns of a row: more where there are few rows. */
  readonly warpsPerRow: 1 | 2 | 4 | 8 | 16;
}

export const combineWarps = 8;
/** Values that a lane has under way before it adds the first. */
const valuesInFlight = 32;
/** Splits whose log-sum-exps a lane has under way. */
const statisticsInFlight = 4;

/** How the lanes of a warp take its columns: `chunks` times `vector` neighbours each. */
function shape({ headDimV, warpsPerRow }: CombineConfig) {
  const columns = Math.ceil(headDimV / warpsPerRow / 16) * 16;
  const vector = columns > 64 ? 4 : columns > 32 ? 2 : 1;
  const chunks = Math.ceil(columns / (32 * vector));
  const splits = Math.max(1, Math.floor(valuesInFlight / (vector * chunks)));
  return { columns, vector, chunks, splits } as const;
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
  }) as const satisfies ParamDecls;

export type CombineParams = ReturnType<typeof params>;

/**
 * Merges the splits of each row: out = Σ 2^(lse_i − lse) · out_i. Grid: (⌈rows · warpsPerRow / 8⌉, b);
 * CTAs of requests that were not split leave at once. Warps work alone: a barrier would make every
 * row wait for the slowest loads of its neighbours.
 */
export function buildCombine(config: CombineConfig): Kernel<CombineParams> {
  const { headDimV, outElement, warpsPerRow } = config;
  const { columns, vector, chunks, splits } = shape(config);
  return defineKernel(
    { name: 'sm80_combine', params: params(config), block: [combineWarps * 32] },
    (k, p) => {
      if (config.overlaps) k.waitForDependencies();
      const request = k.blockIdx.y;
      const first = p.numSplits.at(request).load().as('u32');
      const count = p.numSplits.at(request).at(1).load().as('u32').sub(first).named('splits');
      k.if(count.le(1), () => k.exit(), { uniform: true });

      const rows = p.seqLenQ.mul(p.numHeadsQ).named('rows');
      const task = k.mad(k.blockIdx.x, combineWarps, k.warpId);
      const row = task.div(warpsPerRow).named('row');
      k.if(row.ge(rows), () => k.exit(), { uniform: true });
      const begin = task.rem(warpsPerRow).mul(columns);
      const column = k.mad(k.laneId, vector, begin).named('column');
      const slot = (split: Value<'u32'>) => k.mulWide(first.add(split), rows).add(k.widen(row));
      const lse2 = (split: Value<'u32'>) => p.partialLse.at(slot(split));

      const total = k.section('log-sum-exp', () => mergedLse(k, count, lse2));
      const isEmpty = total.eq(Number.NEGATIVE_INFINITY);
      const base = k.select<'f32'>(isEmpty, 0, total);
      /** Whether the lane has columns in a chunk; undefined: all lanes have. */
      const inside = Array.from({ length: chunks }, (_, c) => {
        if (headDimV === columns * warpsPerRow && columns === 32 * vector * chunks)
          return undefined;
        return column.add(c * 32 * vector).lt(begin.add(columns).min(headDimV));
      });

      const sums = Array.from({ length: chunks }, () => k.vars('f32', vector, 0));
      k.section('outputs', () => {
        // Each lane holds the weight of one split of 32.
        k.for({ from: 0, to: count, step: 32, uniform: true, unroll: false }, (group) => {
          const own = group.add(k.laneId);
          const lse = k.var('f32', Number.NEGATIVE_INFINITY);
          k.if(own.lt(count), () => lse.set(lse2(own).load()));
          const weights = k.ex2(lse.sub(base), { ftz: true });
          const end = group.add(32).min(count);
          const range = { from: group, to: end, step: splits, uniform: true, unroll: false };
          k.for(range, (split) => {
            const loaded = Array.from({ length: splits }, (_, i) => {
              const each = split.add(i);
              const weight = k.shuffle(weights, each.and(31));
              // Loads of their own branch would wait for one another: beyond the end the last split
              // is read again, with weight 0.
              const from = p.partialOut.at(slot(each.min(end.sub(1))).mul(headDimV)).at(column);
              const parts = inside.map((within, c) => {
                const at = from.at(c * 32 * vector);
                if (within === undefined) return loadColumns(at, vector);
                const part = k.vars('f32', vector, 0);
                k.if(within, () => {
                  loadColumns(at, vector).forEach((value, j) => {
                    part[j].set(value);
                  });
                });
                return part;
              });
              return { weight: k.select<'f32'>(each.lt(end), weight, 0), parts };
            });
            for (const { weight, parts } of loaded) {
              parts.forEach((part, c) => {
                part.forEach((value, j) => {
                  sums[c][j].set(k.fma(weight, value, sums[c][j]));
                });
              });
            }
          });
        });
      });

      k.section('results', () => {
        const head = row.rem(p.numHeadsQ);
        const share = config.hasSink ? sinkFactor(k, total, p.sink.at(head).load()) : undefined;
        const out = p.out.at(k.mulWide(request, rows).add(k.widen(row)).mul(headDimV)).at(column);
        sums.forEach((sum, c) => {
          const values = sum.map((x) =>
            share === undefined ? x : k.select<'f32'>(isEmpty, 0, x.mul(share)),
          );
          const store = () => storeRounded(k, out.at(c * 32 * vector), outElement, values);
          const within = inside[c];
          if (within === undefined) store();
          else k.if(within, store);
        });
        k.if(begin.eq(0).and(k.laneId.eq(0)), () => {
          const query = row.div(p.numHeadsQ);
          const lseAt = k.mad(k.mad(request, p.numHeadsQ, head), p.seqLenQ, query);
          const natural = k.select<'f32'>(isEmpty, Number.POSITIVE_INFINITY, total.mul(Math.LN2));
          p.lse.at(lseAt).store(natural);
        });
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
  const forEach = (use: (lse: Value<'f32'>) => void) => {
    const step = 32 * statisticsInFlight;
    k.for({ from: k.laneId, to: count, step, unroll: false }, (split) => {
      const loaded = Array.from({ length: statisticsInFlight }, (_, i) => {
        const each = split.add(32 * i);
        return lse2(each).loadIf(each.lt(count), Number.NEGATIVE_INFINITY);
      });
      loaded.forEach(use);
    });
  };
  const largest = k.var('f32', Number.NEGATIVE_INFINITY);
  forEach((lse) => largest.set(largest.max(lse)));
  const max = segmentMax(k, largest);
  const base = k.select<'f32'>(max.eq(Number.NEGATIVE_INFINITY), 0, max);
  const sum = k.var('f32', 0);
  forEach((lse) => sum.addTo(k.ex2(lse.sub(base), { ftz: true })));
  return base.add(k.lg2(segmentSum(k, sum)));
}

function loadColumns(at: Pointer<'global', 'f32'>, vector: 1 | 2 | 4): Value<'f32'>[] {
  return vector === 1 ? [at.load()] : at.loadVec(vector);
}

function storeRounded(
  k: Ops,
  to: Pointer<'global', Element>,
  element: Element,
  values: readonly Value<'f32'>[],
): void {
  if (values.length === 1) {
    if (element === 'f16') to.as('f16').store(k.toF16(values[0]));
    else to.as('bf16').store(k.toBf16(values[0]));
    return;
  }
  const words = [];
  for (let i = 0; i < values.length; i += 2) {
    words.push(packPair(k, element, values[i], values[i + 1]).as('b32'));
  }
  to.as('b32').storeVec(words);
}
