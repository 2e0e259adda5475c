import {
  defineKernel,
  field,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type Pointer,
  tensorMap,
  type Value,
} from '@flash-mla/ptx';
import { indexDim, indexTokenBytes } from '../limits.ts';

/** What the code depends on. */
export interface HopperLogitsConfig {
  readonly heads: number;
  readonly cleanLogits: boolean;
  /** Queries of a CTA, a warp group each. */
  readonly queries: 1 | 4;
}

/** Keys of a tile: the rows of a product of warp groups. */
export const tileKeys = 64;
const [tileHeads, stages, groupThreads] = [8, 6, 128];

const params = {
  /** (128 bytes, tokens of a page, pages): the keys of the cache. */
  keys: tensorMap('e4m3'),
  cache: global('u8'),
  q: global('b32'),
  weights: global('f32'),
  blockTable: global('u32'),
  ends: global('s32'),
  logits: global('f32'),
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

export type HopperLogitsParams = typeof params;

/**
 * A warp loads tiles of 64 keys and their scales into a ring; each warp group multiplies them with all
 * heads of one query, keys being the rows of the product.
 */
export function buildHopperLogits(config: HopperLogitsConfig): Kernel<HopperLogitsParams> {
  const { heads, queries, cleanLogits } = config;
  const columnsOfProduct = Math.ceil(heads / tileHeads) * tileHeads;
  const options = {
    ...{ name: 'sm90_mqa_logits', params, block: [queries * groupThreads + 32] as const },
    shared: {
      keys: field('e4m3', [stages, tileKeys, indexDim], { swizzle: '128B' }),
      q: field('e4m3', [queries, columnsOfProduct, indexDim], { swizzle: '128B' }),
      scales: field('f32', [stages, tileKeys]),
      /** Whether a tile is in a page of the cache. */
      isPage: field('u32', [stages]),
      full: field('b64', [stages]),
      empty: field('b64', [stages]),
    },
  };
  return defineKernel(options, (k, p) => {
    const { full, empty, keys, scales, isPage } = k.shared;
    k.if(k.threadIdx.x.eq(0), () => {
      for (let stage = 0; stage < stages; stage++) {
        k.mbarrierInit(full.at(stage), 1);
        k.mbarrierInit(empty.at(stage), queries * 4);
      }
      k.fenceMbarrierInit();
    });
    k.waitForDependencies();
    const groupsOfRequest = p.queriesPerRequest.add(queries - 1).div(queries);
    const request = k.blockIdx.y.div(groupsOfRequest).named('request');
    const firstQuery = k.blockIdx.y.sub(request.mul(groupsOfRequest)).mul(queries);
    const firstRow = k.mad(request, p.queriesPerRequest, firstQuery).named('firstRow');
    const chunkStart = k.blockIdx.x.mul(p.chunk).named('chunkStart');
    const chunkEnd = chunkStart.add(p.chunk).min(p.columns);
    const hasQuery = (i: Value<'u32'>) => firstQuery.add(i).lt(p.queriesPerRequest);
    const endOf = (i: Value<'u32'>) => {
      const end = p.ends.at(firstRow.add(i)).loadIf(hasQuery(i), 0);
      return end.max(0).as('u32').min(chunkEnd);
    };
    const last = Array.from({ length: queries }, (_, i) => endOf(k.constant('u32', i)))
      .reduce((a, b) => a.max(b))
      .named('last');
    const tiles = last
      .max(chunkStart)
      .sub(chunkStart)
      .add(tileKeys - 1)
      .div(tileKeys)
      .named('tiles');
    k.barrier();

    k.role('producer', k.warpId.eq(queries * 4), () => {
      const pages = p.blockTable.at(k.widen(request).mul(p.tableStride));
      const known = k.var('u32', 0);
      const ring = ringOf(k, 1);
      k.for({ to: tiles, uniform: true }, (tile) => {
        const start = k.mad(tile, tileKeys, chunkStart);
        k.if(
          tile.and(31).eq(0),
          () => {
            const ahead = k.mad(tile.add(k.laneId), tileKeys, chunkStart);
            known.set(pages.at(ahead.div(p.pageSize)).loadIf(ahead.lt(last), 0));
          },
          { uniform: true },
        );
        const page = k.shuffle(known, tile.and(31));
        k.if(k.laneId.eq(0), () => {
          const isKnown = page.lt(p.numPages);
          const place = start.rem(p.pageSize);
          const from = k.select(isKnown, page, 0, 'u32');
          k.mbarrierWait(empty.at(ring.stage), ring.parity);
          isPage.at(ring.stage).store(k.select(isKnown, 1, 0, 'u32'));
          k.mbarrierArriveExpectTx(full.at(ring.stage), tileKeys * (indexDim + 4));
          k.tensorLoad(keys.at(ring.stage, 0, 0), p.keys, [0, place, from], full.at(ring.stage));
          const ofPage = p.cache.bytes(k.mulWide(from, p.pageSize).mul(indexTokenBytes));
          const ofTile = ofPage.bytes(k.mulWide(p.pageSize, indexDim)).as('f32').at(place);
          k.bulkLoad(scales.at(ring.stage, 0), ofTile, tileKeys * 4, full.at(ring.stage));
        });
        ring.advance();
      });
    });

    k.role('consumers', k.warpId.lt(queries * 4), () => {
      const lane = k.laneId;
      const group = k.shuffle(k.threadIdx.x.shr(7), 0).named('group');
      const thread = k.threadIdx.x.and(groupThreads - 1);
      const row = k.select(hasQuery(group), firstRow.add(group), firstRow, 'u32').named('row');
      const end = k.select(hasQuery(group), endOf(group), 0, 'u32').named('end');
      const logits = p.logits.at(k.widen(row).mul(p.logitsStride));
      if (cleanLogits) {
        k.section('columns without a key', () => {
          const from = chunkStart.max(end).add(thread);
          k.if(hasQuery(group), () => {
            k.for({ from, to: chunkEnd, step: groupThreads }, (column) => {
              logits.at(column).store(Number.NEGATIVE_INFINITY);
            });
          });
        });
      }
      k.section('the query', () => storeQuery(k, config, p, row, group, thread));
      k.fenceProxyAsync('shared::cta');
      const [first, pair] = [lane.shr(2), lane.and(3).mul(2)];
      const weights = Array.from({ length: columnsOfProduct / 4 }, (_, i) => {
        const head = pair.add((i >> 1) * tileHeads + (i & 1));
        const from = p.weights.at(k.mulWide(row, heads)).at(head);
        return heads % tileHeads === 0 ? from.load() : from.loadIf(head.lt(heads), 0);
      });
      k.barrier(group.add(1), groupThreads);

      const right = k.shared.q.kMajor(group, 0, 0);
      const tileRow = k.mad(thread.shr(5), 16, first).named('tileRow');
      const ring = ringOf(k, 0);
      k.for({ to: tiles, uniform: true }, (tile) => {
        const acc = k.vars('f32', columnsOfProduct / 2, 0);
        k.mbarrierWait(full.at(ring.stage), ring.parity);
        const left = keys.kMajor(ring.stage, 0, 0);
        k.wgmmaFence();
        for (let depth = 0; depth < indexDim; depth += 32) {
          k.wgmma('e4m3', acc, left.at(0, depth), right.at(0, depth), { accumulate: depth > 0 });
        }
        k.wgmmaCommit();
        const isKnown = isPage.at(ring.stage).load().ne(0);
        const factors = [0, 8].map((i) => scales.at(ring.stage, tileRow.add(i)).load());
        k.wgmmaWait(0);
        k.syncWarp();
        k.if(lane.eq(0), () => k.mbarrierArrive(empty.at(ring.stage)));
        const [low, high] = weighted(k, acc, weights).map((sum) => {
          const two = sum.add(k.shuffleXor(sum, 1));
          return two.add(k.shuffleXor(two, 2));
        });
        const isHigh = lane.and(3).eq(1);
        const choose = (a: Value<'f32'> | undefined, b: Value<'f32'> | undefined) =>
          k.select(isHigh, b as Value<'f32'>, a as Value<'f32'>, 'f32');
        const column = k.mad(tile, tileKeys, chunkStart.add(tileRow));
        const own = column.add(k.select(isHigh, 8, 0, 'u32'));
        k.if(lane.and(3).lt(2).and(own.lt(end)), () => {
          const value = choose(low, high).mul(choose(factors[0], factors[1]));
          logits.at(own).store(k.select(isKnown, value, Number.NEGATIVE_INFINITY, 'f32'));
        });
        ring.advance();
      });
    });
  });
}

/** A position in the ring. The producer begins with parity 1, for stages that are empty. */
function ringOf(k: Ops, firstParity: 0 | 1) {
  const stage = k.var('u32', 0).named('stage');
  const parity = k.var('u32', firstParity).named('parity');
  const advance = () => {
    const next = stage.add(1);
    const isRound = next.eq(stages);
    parity.set(k.select(isRound, parity.xor(1), parity, 'u32'));
    stage.set(k.select(isRound, 0, next, 'u32'));
  };
  return { stage, parity, advance };
}

/** Heads beyond the last one are 0. */
function storeQuery(
  k: Ops & {
    readonly shared: { readonly q: { at(...index: Value<'u32'>[]): Pointer<'shared', 'e4m3'> } };
  },
  { heads }: HopperLogitsConfig,
  p: { readonly q: Pointer<'global', 'b32'> },
  row: Value<'u32'>,
  group: Value<'u32'>,
  thread: Value<'u32'>,
): void {
  const chunks = indexDim / 16;
  const padded = Math.ceil(heads / tileHeads) * tileHeads;
  const from = p.q.at(k.mulWide(row, (heads * indexDim) / 4));
  k.for({ from: thread, to: padded * chunks, step: groupThreads }, (i) => {
    const [head, chunk] = [i.div(chunks), i.rem(chunks)];
    const words = k.vars('b32', 4, 0);
    k.if(head.lt(heads), () => {
      const loaded = from.at(k.widen(i.mul(4))).loadVec(4);
      for (const [w, word] of loaded.entries()) words[w]?.set(word);
    });
    const to = k.shared.q.at(group, head, chunk.mul(16));
    to.as('b32').storeVec(words as never);
  });
}

/** Σ over a lane's heads of weight · max(0, product), for the lane's two keys. */
function weighted(
  k: Ops,
  acc: readonly Value<'f32'>[],
  weights: readonly Value<'f32'>[],
): Value<'f32'>[] {
  const sums: Value<'f32'>[] = [k.constant('f32', 0), k.constant('f32', 0)];
  acc.forEach((value, i) => {
    const weight = weights[(i >> 2) * 2 + (i & 1)] as Value<'f32'>;
    const side = (i >> 1) & 1;
    sums[side] = k.fma(value.max(0), weight, sums[side] as Value<'f32'>);
  });
  return sums;
}
