import {
  defineKernel,
  e4m3x4ToBf16x2,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import { indexDim, indexTokenBytes } from '../limits.ts';

/** What the code depends on. */
export interface MqaLogitsConfig {
  readonly heads: number;
  readonly paged: boolean;
  readonly cleanLogits: boolean;
  /** Queries of a CTA, a warp each; 1: all warps share a query. */
  readonly queries: 1 | 4;
}

const params = {
  q: global('b32'),
  weights: global('f32'),
  /** The paged cache, or rows of keys. */
  keys: global('u8'),
  scales: global('f32'),
  blockTable: global('u32'),
  starts: global('s32'),
  ends: global('s32'),
  logits: global('f32'),
  rows: 'u32',
  queriesPerRequest: 'u32',
  pageSize: 'u32',
  numPages: 'u32',
  /** Columns that a CTA computes: a multiple of 64. */
  chunk: 'u32',
  columns: 'u32',
  /** Elements between rows. */
  logitsStride: 'u64',
  tableStride: 'u64',
} as const satisfies ParamDecls;

export type MqaLogitsParams = typeof params;

export const logitsWarps = 4;
/** Keys of a matrix instruction, and its heads. */
const [tileKeys, tileHeads] = [16, 8];
/** Bytes of a key that the four lanes of a quad hold with one load each. */
const halfKey = indexDim / 2;

/**
 * A warp holds a query, all heads of it, in registers and walks over keys, 16 at a time, which it loads
 * from memory in the form of matrix operands: a dot product does not depend on the order of dimensions,
 * so a lane takes 16 neighbouring bytes. The next keys are loaded while these are multiplied.
 */
export function buildMqaLogits(config: MqaLogitsConfig): Kernel<MqaLogitsParams> {
  const { heads, paged, cleanLogits, queries } = config;
  const headTiles = Math.ceil(heads / tileHeads);
  const options = { name: 'sm80_mqa_logits', params, block: [logitsWarps * 32] as const };
  return defineKernel(options, (k, p) => {
    const lane = k.laneId;
    const [group, quad] = [lane.shr(2).named('group'), lane.and(3).named('quad')];
    const row = (queries === 1 ? k.blockIdx.y : k.mad(k.blockIdx.y, 4, k.warpId)).named('row');
    k.if(row.ge(p.rows), () => k.exit(), { uniform: true });
    const chunkStart = k.blockIdx.x.mul(p.chunk).named('chunkStart');
    const chunkEnd = chunkStart.add(p.chunk).min(p.columns);
    const limit = (from: Pointer<'global', 's32'>) => from.at(row).load().max(0).as('u32');
    const start = paged ? k.constant('u32', 0) : limit(p.starts).min(p.columns);
    const end = limit(p.ends).min(p.columns).named('end');
    const logits = p.logits.at(k.widen(row).mul(p.logitsStride));
    const firstWarp = queries === 1 ? k.warpId : k.constant('u32', 0);
    const step = tileKeys * (queries === 1 ? logitsWarps : 1);

    if (cleanLogits) {
      k.section('columns without a key', () => {
        const from = k.mad(firstWarp, 32, chunkStart.add(lane));
        k.for({ from, to: chunkEnd, step: 2 * step }, (column) => {
          k.if(column.lt(start).or(column.ge(end)), () => {
            logits.at(column).store(Number.NEGATIVE_INFINITY);
          });
        });
      });
    }
    const last = chunkEnd.min(end).named('last');
    const begin = chunkStart.max(start.and(~(tileKeys - 1) >>> 0)).named('begin');
    const firstTile = k.mad(firstWarp, tileKeys, begin);
    k.if(start.ge(end).or(firstTile.ge(last)), () => k.exit(), { uniform: true });

    const request = row.div(p.queriesPerRequest);
    const pages = p.blockTable.at(k.widen(request).mul(p.tableStride));
    /** The page of a tile; of one beyond the end the last one's. */
    const pageOf = (tile: Value<'u32'>) =>
      paged ? pages.at(tile.min(last.sub(1)).div(p.pageSize)).load() : k.constant('u32', 0);
    /** The two keys of a lane's rows: where they are. */
    const keysOf = (tile: Value<'u32'>, page: Value<'u32'>) => {
      const isPage = page.lt(p.numPages);
      return [0, 8].map((i) => {
        const token = tile.add(group).add(i).min(last.sub(1)).max(start);
        if (!paged)
          return { at: p.keys.bytes(k.mulWide(token, indexDim)), scale: p.scales.at(token) };
        const known = k.select(isPage, page, 0, 'u32');
        const place = token.rem(p.pageSize);
        const first = p.keys.bytes(k.mulWide(known, p.pageSize).mul(indexTokenBytes));
        const scales = first.bytes(k.mulWide(p.pageSize, indexDim)).as('f32');
        return { at: first.bytes(k.mulWide(place, indexDim)), scale: scales.at(place) };
      });
    };
    const loadKeys = (
      into: Var<'b32'>[],
      scales: Var<'f32'>[],
      places: ReturnType<typeof keysOf>,
    ) => {
      places.forEach(({ at, scale }, side) => {
        const from = at.bytes(k.widen(quad.mul(16))).as('b32');
        for (const half of [0, 1]) {
          const words = from.bytes(half * halfKey).loadVec(4, { l1: 'none' });
          for (const [i, word] of words.entries()) into[side * 8 + half * 4 + i]?.set(word);
        }
        scales[side]?.set(scale.load());
      });
    };

    const page = k.var('u32', 0);
    const nextPage = k.var('u32', 0);
    const keys = k.vars('b32', 16, 0);
    const scales = k.vars('f32', 2, 0);
    k.section('the first keys', () => {
      page.set(pageOf(firstTile));
      nextPage.set(pageOf(firstTile.add(step)));
      loadKeys(keys, scales, keysOf(firstTile, page));
    });
    const query = k.section('the query', () => loadQuery(k, p, row, heads));
    const weights = k.section('its weights', () =>
      Array.from({ length: headTiles * 2 }, (_, i) => {
        const head = quad.mul(2).add((i >> 1) * tileHeads + (i & 1));
        const from = p.weights.at(k.mulWide(row, heads)).at(head);
        if (heads % tileHeads === 0) return from.load();
        return from.loadIf(head.lt(heads), 0);
      }),
    );

    k.for({ from: firstTile, to: last, step, uniform: true }, (tile) => {
      const current = keys.map((word) => k.copy(word));
      const [scaleLow, scaleHigh] = scales.map((scale) => k.copy(scale));
      const isPage = page.lt(p.numPages);
      page.set(nextPage);
      nextPage.set(pageOf(tile.add(2 * step)));
      loadKeys(keys, scales, keysOf(tile.add(step).min(last.sub(1)), page));
      const sums = k.section('products', () => multiply(k, query, current, weights));
      const [low, high] = sums.map((sum) => {
        const pair = sum.add(k.shuffleXor(sum, 1));
        return pair.add(k.shuffleXor(pair, 2));
      });
      const isHigh = quad.eq(1);
      const sum = k.select(isHigh, high as Value<'f32'>, low as Value<'f32'>, 'f32');
      const scale = k.select(isHigh, scaleHigh as Value<'f32'>, scaleLow as Value<'f32'>, 'f32');
      const column = tile.add(group).add(k.select(isHigh, 8, 0, 'u32'));
      k.if(quad.lt(2).and(column.lt(last)).and(column.ge(start)), () => {
        const value = sum.mul(scale);
        const none = Number.NEGATIVE_INFINITY;
        logits.at(column).store(paged ? k.select(isPage, value, none, 'f32') : value);
      });
    });
  });
}

/** Of each 8 heads the 32 bytes of a lane: 16 of each half of a head. */
function loadQuery(
  k: Ops,
  p: { readonly q: Pointer<'global', 'b32'> },
  row: Value<'u32'>,
  heads: number,
): Value<'b32'>[][] {
  const [group, quad] = [k.laneId.shr(2), k.laneId.and(3)];
  const from = p.q.at(k.mulWide(row, (heads * indexDim) / 4));
  return Array.from({ length: Math.ceil(heads / tileHeads) }, (_, tile) => {
    const head = group.add(tile * tileHeads);
    const at = from.at(k.mulWide(head, indexDim / 4)).at(quad.mul(4));
    const isWhole = (tile + 1) * tileHeads <= heads;
    if (isWhole) return [0, 1].flatMap((half) => at.bytes(half * halfKey).loadVec(4));
    const words = k.vars('b32', 8, 0);
    k.if(head.lt(heads), () => {
      for (const half of [0, 1]) {
        const loaded = at.bytes(half * halfKey).loadVec(4);
        for (const [i, word] of loaded.entries()) words[half * 4 + i]?.set(word);
      }
    });
    return words;
  });
}

/** Σ over a lane's heads of weight · max(0, q · k), for the lane's two keys. */
function multiply(
  k: Ops,
  query: readonly Value<'b32'>[][],
  keys: readonly Value<'b32'>[],
  weights: readonly Value<'f32'>[],
): Value<'f32'>[] {
  const word = (words: readonly Value<'b32'>[], i: number) => words[i] as Value<'b32'>;
  const inHalves = k.target.sm < 89;
  const halves = (w: Value<'b32'>) => e4m3x4ToBf16x2(k, w.as('e4m3x4'));
  const left = inHalves ? keys.map(halves) : [];
  const sums: Value<'f32'>[] = [k.constant('f32', 0), k.constant('f32', 0)];
  query.forEach((words, tile) => {
    const acc = k.vars('f32', 4, 0);
    if (inHalves) {
      words.forEach((w, i) => {
        const a = [left[i], left[i + 8]].flatMap((pair) => (pair ? [pair] : []));
        const [low, high] = a as [(typeof left)[number], (typeof left)[number]];
        k.mma('bf16', acc, [low[0], high[0], low[1], high[1]], halves(w));
      });
    } else {
      for (const i of [0, 2, 4, 6]) {
        const a = [i, i + 8, i + 1, i + 9].map((at) => word(keys, at).as('e4m3x4'));
        k.mma('e4m3', acc, a, [word(words, i).as('e4m3x4'), word(words, i + 1).as('e4m3x4')]);
      }
    }
    acc.forEach((value, i) => {
      const weight = weights[tile * 2 + (i & 1)] as Value<'f32'>;
      const side = i >> 1;
      sums[side] = k.fma(value.max(0), weight, sums[side] as Value<'f32'>);
    });
  });
  return sums;
}
