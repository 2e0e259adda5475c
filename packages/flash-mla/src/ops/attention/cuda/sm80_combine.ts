import {
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Pointer,
  packPair,
  segmentMax,
  segmentSum,
  unpackPair,
  type Value,
} from '@flash-mla/ptx';
import type { Element } from '../../kernel-lib/cuda/element.ts';
import { sinkFactor } from './sink.ts';

/** What the code of the combine kernel depends on. */
export interface CombineConfig {
  readonly outElement: Element;
  /** A multiple of 16. */
  readonly headDimV: number;
  readonly hasSink: boolean;
  /**
   * How results of splits are stored: f16 comes scaled row by row, its log-sum-exps as pairs with the
   * factor that undoes the scale.
   */
  readonly partial: 'f32' | 'f16';
  /** Whether it may start before the kernel whose results it merges has ended (sm_90 up). */
  readonly overlaps?: boolean;
  /** Warps that share the columns of a row: more where there are few rows. */
  readonly warpsPerRow: 1 | 2 | 4 | 8 | 16;
  /** Splits that a warp reads at once: about as many as there are, or it would read some twice. */
  readonly splitsAtOnce: 2 | 4 | 8 | 16 | 32 | 64;
}

export const combineWarps = 8;
/** Words that a lane has under way at most. */
const wordsInFlight = 64;
/** Splits whose log-sum-exps a lane has under way. */
const statisticsInFlight = 4;

/** How the lanes of a warp take its columns: `chunks` times `vector` neighbouring words each. */
function shape({ headDimV, warpsPerRow, partial, splitsAtOnce }: CombineConfig) {
  const columns = Math.ceil(headDimV / warpsPerRow / 16) * 16;
  /** Columns of a word. */
  const width = partial === 'f16' ? 2 : 1;
  const words = columns / width;
  const vector = words > 64 ? 4 : words > 32 ? 2 : 1;
  const chunks = Math.ceil(words / (32 * vector));
  const splits = Math.min(splitsAtOnce, Math.floor(wordsInFlight / (vector * chunks)));
  return { columns, width, vector, chunks, splits } as const;
}

const params = ({ outElement }: CombineConfig) =>
  ({
    /**
     * (slots, rows, dV) in words and (slots, rows), rows = sQ · hQ; log-sum-exp in base 2, with f16
     * (slots, rows, 2).
     */
    partialOut: global('b32'),
    partialLse: global('f32'),
    /** (b + 1): a request has as many splits as the next entry is above its own. */
    numSplits: global('s32'),
    out: global(outElement),
    lse: global('f32'),
    sink: global('f32'),
    seqLenQ: 'u32',
    numHeadsQ: 'u32',
    slots: 'u32',
    /** Slots that each request has for itself; 0: its slots are those from its entry of `numSplits` on. */
    slotsPerRequest: 'u32',
  }) as const satisfies ParamDecls;

export type CombineParams = ReturnType<typeof params>;

/**
 * Merges the splits of each row: out = Σ w_i · out_i / Σ w_i with w_i = 2^(lse_i − max). Grid:
 * (⌈rows · warpsPerRow / 8⌉, b); CTAs of requests that were not split leave at once. Warps work alone: a
 * barrier would make every row wait for the slowest loads of its neighbours.
 */
export function buildCombine(config: CombineConfig): Kernel<CombineParams> {
  const { headDimV, outElement, warpsPerRow, partial } = config;
  const { columns, width, vector, chunks, splits } = shape(config);
  /** Columns from a chunk of a lane to the next. */
  const chunkColumns = 32 * vector * width;
  return defineKernel(
    { name: 'sm80_combine', params: params(config), block: [combineWarps * 32] },
    (k, p) => {
      if (config.overlaps) k.launchDependents();
      const request = k.blockIdx.y;
      const { first, count } = slotsOf(k, p, request);
      // The schedule is older than the kernel before this one, which waited for it.
      if (config.overlaps) k.waitForDependencies();
      k.if(count.le(1), () => k.exit(), { uniform: true });

      const rows = p.seqLenQ.mul(p.numHeadsQ).named('rows');
      const task = k.mad(k.blockIdx.x, combineWarps, k.warpId);
      const row = task.div(warpsPerRow).named('row');
      k.if(row.ge(rows), () => k.exit(), { uniform: true });
      const begin = task.rem(warpsPerRow).mul(columns);
      const column = k.mad(k.laneId, vector * width, begin).named('column');
      const slot = k.mulWide(first, rows).add(k.widen(row));
      const statistics = p.partialLse.at(partial === 'f16' ? slot.shl(1) : slot);
      const lse2 = (split: Value<'u32'>) =>
        statistics.bytes(k.mulWide(split, rows.mul(partial === 'f16' ? 8 : 4)));
      /** What undoes the scale of the split's row. */
      const factorOf = (split: Value<'u32'>): Value<'f32'> =>
        partial === 'f16' ? lse2(split).at(1).loadIf(split.lt(count), 0) : k.constant('f32', 1);
      const outputs = p.partialOut
        .at(slot.mul(headDimV / width))
        .at(width === 1 ? column : column.shr(1));
      const splitBytes = rows.mul((headDimV / width) * 4).named('split_bytes');

      /** Whether the lane has columns in a chunk; undefined: all lanes have. */
      const inside = Array.from({ length: chunks }, (_, c) => {
        if (headDimV === columns * warpsPerRow && columns === chunkColumns * chunks)
          return undefined;
        return column.add(c * chunkColumns).lt(begin.add(columns).min(headDimV));
      });
      /** Loads the lane's columns of `n` splits: [split][chunk][word]. */
      const loadOutputs = (n: number, split: Value<'u32'> | 0, end: Value<'u32'>) =>
        Array.from({ length: n }, (_, i) => {
          // Loads of their own branch would wait for one another: beyond the end the last split is
          // read again, with weight 0.
          const each = (split === 0 ? k.constant('u32', i) : split.add(i)).min(end.sub(1));
          const from = outputs.bytes(k.mulWide(each, splitBytes));
          return inside.map((within, c) => {
            const at = from.at(c * 32 * vector);
            if (within === undefined) return loadWords(at, vector);
            const part = k.vars('b32', vector, 0);
            k.if(within, () => {
              loadWords(at, vector).forEach((value, j) => {
                part[j].set(value);
              });
            });
            return part;
          });
        });

      const { lses, factors, ahead } = k.section('first loads', () => ({
        lses: strideOfLses(k, count, lse2),
        factors: Array.from({ length: Math.ceil(splits / 32) }, (_, i) =>
          factorOf(k.laneId.add(32 * i)),
        ),
        // On their way before their weights are known: with few rows, waiting is most of the time.
        ahead: loadOutputs(splits, 0, count),
      }));
      const { base, sum: weightSum } = k.section('log-sum-exp', () =>
        mergedLse(k, count, lses, lse2),
      );
      const isEmpty = weightSum.eq(0);
      const total = base.add(k.lg2(weightSum));
      const inverse = k.select<'f32'>(isEmpty, 0, k.rcp(weightSum));

      const sums = Array.from({ length: chunks }, () => k.vars('f32', vector * width, 0));
      /** Adds splits of one group of 32, whose weights the lanes hold. */
      const add = (
        split: Value<'u32'>,
        end: Value<'u32'>,
        weights: Value<'f32'>,
        loaded: ReturnType<typeof loadOutputs>,
      ) => {
        loaded.forEach((parts, i) => {
          const each = split.add(i);
          const shared = k.shuffle(weights, each.and(31));
          const weight = k.select<'f32'>(each.lt(end), shared, 0);
          parts.forEach((part, c) => {
            part
              .flatMap((word) => columnsOf(k, partial, word))
              .forEach((value, j) => {
                sums[c][j].set(k.fma(weight, value, sums[c][j]));
              });
          });
        });
      };
      k.section('outputs', () => {
        // Divided by the sum of weights: 2^(lse − total) is off by what rounding a large total took.
        const weightOf = (lse: Value<'f32'>) => k.ex2(lse.sub(base), { ftz: true }).mul(inverse);
        factors.forEach((factor, g) => {
          const weights = weightOf(lses[g]).mul(factor);
          add(k.constant('u32', 32 * g), count, weights, ahead.slice(32 * g, 32 * (g + 1)));
        });
        const from = splits < 32 ? 0 : splits;
        const step = Math.min(splits, 32);
        k.for({ from, to: count, step: 32, uniform: true, unroll: false }, (group) => {
          const own = group.add(k.laneId);
          const lse = lse2(own).loadIf(own.lt(count), Number.NEGATIVE_INFINITY);
          const weights = weightOf(lse).mul(factorOf(own));
          const range = { from: group.max(splits), to: group.add(32).min(count), step } as const;
          k.for({ ...range, uniform: true, unroll: false }, (split) => {
            add(split, range.to, weights, loadOutputs(step, split, range.to));
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
          const store = () => storeRounded(k, out.at(c * chunkColumns), outElement, values);
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

/** The slots of a request, none beyond those that there are. */
function slotsOf(
  k: Ops,
  { numSplits, slots, slotsPerRequest }: ParamValues<CombineParams>,
  request: Value<'u32'>,
): { readonly first: Value<'u32'>; readonly count: Value<'u32'> } {
  const before = numSplits.at(request).load();
  const splits = numSplits.at(request).at(1).load().sub(before).max(0).as('u32');
  const isOwn = slotsPerRequest.gt(0);
  const first = k.select(isOwn, request.mul(slotsPerRequest), before.as('u32').min(slots));
  const most = k.select(isOwn, slotsPerRequest, slots.sub(first));
  return { first, count: splits.min(most).named('splits') };
}

/** Log-sum-exps of the lane's splits, every 32nd from `first` on; −inf beyond the last. */
function strideOfLses(
  k: Ops,
  count: Value<'u32'>,
  lse2: (split: Value<'u32'>) => Pointer<'global', 'f32'>,
  first: Value<'u32'> = k.laneId,
): Value<'f32'>[] {
  return Array.from({ length: statisticsInFlight }, (_, i) => {
    const each = first.add(32 * i);
    return lse2(each).loadIf(each.lt(count), Number.NEGATIVE_INFINITY);
  });
}

/**
 * The largest log-sum-exp of all splits, 0 where none has a key, and the sum of 2^(lse − that); every warp
 * computes them by itself.
 */
function mergedLse(
  k: Ops,
  count: Value<'u32'>,
  first: readonly Value<'f32'>[],
  lse2: (split: Value<'u32'>) => Pointer<'global', 'f32'>,
): { readonly base: Value<'f32'>; readonly sum: Value<'f32'> } {
  const step = 32 * statisticsInFlight;
  const forEach = (use: (lse: Value<'f32'>) => void) => {
    first.forEach(use);
    k.for({ from: k.laneId.add(step), to: count, step, unroll: false }, (split) => {
      strideOfLses(k, count, lse2, split).forEach(use);
    });
  };
  const largest = k.var('f32', Number.NEGATIVE_INFINITY);
  forEach((lse) => largest.set(largest.max(lse)));
  const max = segmentMax(k, largest);
  const base = k.select<'f32'>(max.eq(Number.NEGATIVE_INFINITY), 0, max);
  const sum = k.var('f32', 0);
  forEach((lse) => sum.addTo(k.ex2(lse.sub(base), { ftz: true })));
  return { base, sum: segmentSum(k, sum) };
}

function loadWords(at: Pointer<'global', 'b32'>, vector: 1 | 2 | 4): Value<'b32'>[] {
  return vector === 1 ? [at.load()] : at.loadVec(vector);
}

function columnsOf(k: Ops, partial: CombineConfig['partial'], word: Value<'b32'>): Value<'f32'>[] {
  return partial === 'f16' ? unpackPair(k, word.as('f16x2')) : [word.as('f32')];
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
