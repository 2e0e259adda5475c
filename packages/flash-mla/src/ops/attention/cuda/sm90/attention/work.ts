import type { Ops, Value } from '@flash-mla/ptx';
import type { Params } from './params.ts';
import { type HopperMhaConfig, type HopperMhaShared, tileRows } from './tile.ts';

/** A tile of query rows, as the producer tells it to the consumers. */
export interface TileWork {
  /** The tile's first query among all, and how many of its request's there are from it on; none: no more tiles. */
  readonly firstQuery: Value<'u32'>;
  readonly queries: Value<'u32'>;
  /** First of the tile's heads. */
  readonly head: Value<'u32'>;
  /** Keys of the request. */
  readonly length: Value<'u32'>;
  /** Keys that the tile's first query sees; below 0: none, and the queries behind it as many fewer. */
  readonly seen: Value<'s32'>;
  /** Key blocks that any query of the tile sees. */
  readonly blocks: Value<'u32'>;
}

/** What else the producer needs to know. */
export interface TileSource extends TileWork {
  readonly request: Value<'u32'>;
  /** First key in packed rows. */
  readonly firstKey: Value<'u32'>;
}

/** Queries of a tile. */
export const tileQueries = ({ tile }: Pick<HopperMhaConfig, 'tile'>): number =>
  tileRows / tile.heads;

/** Up to which key a query of the tile sees. */
export function seenBy(
  p: Params,
  { seen, length }: Pick<TileWork, 'seen' | 'length'>,
  query: Value<'u32'>,
): Value<'u32'> {
  return seen
    .add(p.causal.mul(query.as('s32')))
    .max(0)
    .as('u32')
    .min(length);
}

/** Leaves a tile's work for the other warps; by one thread, before it arrives at their barrier. */
export function publishWork({ work }: HopperMhaShared, tile: TileWork): void {
  const { firstQuery, queries, head, length, seen, blocks } = tile;
  work.at(0).storeVec([firstQuery, queries, head, length]);
  work.at(4).storeVec([seen.as('u32'), blocks]);
}

/** Says that no tile follows: one without queries. */
export function publishEnd(k: Ops, { work }: HopperMhaShared): void {
  const zero = k.constant('u32', 0);
  work.at(0).storeVec([zero, zero, zero, zero]);
  work.at(4).storeVec([zero, zero]);
}

/** Reads what {@link publishWork} or {@link publishEnd} left. */
export function readWork({ work }: HopperMhaShared): TileWork {
  const [firstQuery, queries, head, length] = work.at(0).loadVec(4);
  const [seen, blocks] = work.at(4).loadVec(2);
  return { firstQuery, queries, head, length, seen: seen.as('s32'), blocks };
}

/**
 * Runs `body` for each tile that this CTA takes, by a whole warp. CTAs take tiles one by one as they get
 * done with others. The order is: request by request; of a request some heads at a time, whose keys the
 * second-level cache holds; of these the last queries first, since they see the most keys.
 */
export function forEachTile(
  k: Ops,
  config: HopperMhaConfig,
  p: Params,
  body: (tile: TileSource) => void,
): void {
  const queriesPerTile = tileQueries(config);
  const lane = k.laneId;
  /** Of 32 requests: the first, the tiles before it; a lane each: tiles of rows, and tiles up to its end. */
  const base = k.var('u32', 0).named('request_base');
  const before = k.var('u32', 0).named('tiles_before');
  const rowTiles = k.var('u32', 0);
  const upTo = k.var('u32', 0);
  const count = () => {
    const request = base.add(lane);
    const length = k.var('s32', 0);
    k.if(request.lt(p.batch), () => length.set(queriesOf(k, config, p, request).length));
    rowTiles.set(
      length
        .as('u32')
        .add(queriesPerTile - 1)
        .shr(Math.log2(queriesPerTile)),
    );
    upTo.set(rowTiles.mul(p.units));
    for (let delta = 1; delta < 32; delta *= 2) {
      const below = k.shuffleUp(upTo as Value<'u32'>, delta);
      upTo.set(upTo.add(k.select<'u32'>(lane.ge(delta), below, 0)));
    }
  };
  count();
  const index = k.var('u32', k.blockIdx.x).named('tile');
  const taken = k.var('u32', 0);
  k.loop(
    (loop) => {
      const inGroup = () => k.shuffle(upTo as Value<'u32'>, 31);
      k.while(
        () => index.sub(before).ge(inGroup()).and(base.add(32).lt(p.batch)),
        () => {
          before.set(before.add(inGroup()));
          base.set(base.add(32));
          count();
        },
        { uniform: true, unroll: false },
      );
      const inRequests = index.sub(before).named('in_requests');
      loop.breakIf(inRequests.ge(inGroup()));
      // On its way while this tile is worked on.
      k.if(lane.eq(0), () => taken.set(k.atomicAdd(p.taken, 1)));
      const r = k.popc(k.ballot(upTo.le(inRequests))).as('u32');
      const ownTiles = k.shuffle(rowTiles as Value<'u32'>, r);
      const within = inRequests.sub(k.shuffle(upTo as Value<'u32'>, r).sub(ownTiles.mul(p.units)));
      body(tileOf(k, config, p, base.add(r), ownTiles, within));
      index.set(k.shuffle(taken as Value<'u32'>, 0).add(k.gridDim.x));
    },
    { uniform: true, unroll: false, name: 'tiles' },
  );
  // Each tile takes one number: who took the last leaves the counter as it was.
  const total = before.add(k.shuffle(upTo as Value<'u32'>, 31));
  k.if(
    index
      .ge(k.gridDim.x)
      .and(index.eq(total.add(k.gridDim.x).sub(1)))
      .and(lane.eq(0)),
    () => {
      k.atomicExchange(p.taken, 0);
    },
  );
}

/** The n-th tile of a request that has so many tiles of rows. */
function tileOf(
  k: Ops,
  config: HopperMhaConfig,
  p: Params,
  request: Value<'u32'>,
  rowTiles: Value<'u32'>,
  n: Value<'u32'>,
): TileSource {
  const queriesPerTile = tileQueries(config);
  const section = n.div(rowTiles.mul(p.unitsPerSection));
  const firstUnit = section.mul(p.unitsPerSection);
  const inSection = n.sub(firstUnit.mul(rowTiles));
  const units = p.units.sub(firstUnit).min(p.unitsPerSection);
  const rank = inSection.div(units);
  const unit = firstUnit.add(inSection.sub(rank.mul(units)));
  const skipped = rowTiles.sub(1).sub(rank).mul(queriesPerTile);
  const { begin, length: lengthQ } = queriesOf(k, config, p, request);
  const { firstKey, length } = keysOf(k, config, p, request);
  const queries = lengthQ.as('u32').sub(skipped);
  const later = lengthQ.sub(1).sub(skipped.as('s32'));
  const seen = length.as('s32').sub(p.causal.mul(later));
  const last = queries.min(queriesPerTile).sub(1);
  const blocks = seenBy(p, { seen, length }, last)
    .add(config.tile.tokens - 1)
    .div(config.tile.tokens);
  return {
    request,
    firstQuery: begin.as('u32').add(skipped),
    queries,
    head: unit.mul(config.tile.heads),
    firstKey,
    length,
    seen,
    blocks: k.copy(blocks).named('blocks'),
  };
}

/** The first query of a request and how many it has. */
function queriesOf(
  k: Ops,
  { hasCuSeqlensQ }: HopperMhaConfig,
  p: Params,
  request: Value<'u32'>,
): { readonly begin: Value<'s32'>; readonly length: Value<'s32'> } {
  if (!hasCuSeqlensQ) return { begin: request.as('s32').mul(p.lengthQ), length: k.copy(p.lengthQ) };
  const { begin, length } = span(k, p.cuSeqlensQ, request, p.totalQ.as('s32'));
  return { begin, length: length.min(p.lengthQ) };
}

/** The keys of a request. */
function keysOf(
  k: Ops,
  { keys }: HopperMhaConfig,
  p: Params,
  request: Value<'u32'>,
): { readonly firstKey: Value<'u32'>; readonly length: Value<'u32'> } {
  if (keys === 'packed') {
    const { begin, length } = span(k, p.lengthsK, request, p.capacity);
    return { firstKey: begin.as('u32'), length: length.as('u32') };
  }
  const length = p.lengthsK.at(request).load({ nc: true }).max(0).min(p.capacity);
  return { firstKey: k.constant('u32', 0), length: k.copy(length).as('u32') };
}

/** Where a request begins in a packed array of `total` rows, and how many it has there. */
function span(k: Ops, offsets: Params['lengthsK'], request: Value<'u32'>, total: Value<'s32'>) {
  const at = offsets.at(request);
  const begin = k.copy(at.load({ nc: true }).max(0).min(total));
  const length = k.copy(at.at(1).load({ nc: true }).min(total).sub(begin).max(0));
  return { begin, length };
}
