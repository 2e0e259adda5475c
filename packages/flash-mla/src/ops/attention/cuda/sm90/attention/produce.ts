import type { Ops, Pointer, TensorMap, Value } from '@flash-mla/ptx';
import type { Element } from '../../../../kernel-lib/cuda/element.ts';
import type { Params } from './params.ts';
import {
  boxTokens,
  type HopperMhaConfig,
  type HopperMhaShared,
  stages,
  tileColumns,
  tileRows,
} from './tile.ts';
import { forEachTile, publishEnd, publishWork, type TileSource } from './work.ts';

/** Where the copies of a lane go on: blocks are counted over all tiles. */
const stageOf = (block: Value<'u32'>) => block.and(stages - 1);
/** The parity of a stage's use by the block; 0 at first. */
const parityOf = (block: Value<'u32'>) => block.shr(Math.log2(stages)).and(1);

/**
 * Fetches queries, keys and values of all tiles, the last key block of a tile first; a whole warp. Keys go
 * ahead of the values before them, as they are used.
 */
export function produce(k: Ops, shared: HopperMhaShared, config: HopperMhaConfig, p: Params): void {
  const { tile } = config;
  const queryBytes = tileRows * tile.headDimQk * 2;
  const keyBytes = tile.tokens * tile.headDimQk * 2;
  const valueBytes = tile.tokens * tile.headDimV * 2;
  const isLeader = k.electSync();
  k.if(isLeader, () => {
    for (const map of [p.q, p.k, p.v]) k.prefetchTensorMap(map);
  });
  const parity = k.var('u32', 1).named('work_parity');
  /** Blocks of the tiles before. */
  const done = k.var('u32', 0).named('blocks_done');
  const publish = (work: TileSource | undefined) => {
    k.mbarrierWait(shared.workEmpty.at(0), parity);
    k.if(isLeader, () => {
      if (work === undefined) {
        publishEnd(k, shared);
        k.mbarrierArrive(shared.workFull.at(0));
        return;
      }
      publishWork(shared, work);
      k.mbarrierArriveExpectTx(shared.workFull.at(0), queryBytes);
      const place = [0, work.head, work.firstQuery, 0] as const;
      k.tensorLoad(shared.query.pointer, p.q, place, shared.workFull.at(0));
    });
    parity.set(parity.xor(1));
  };

  forEachTile(k, config, p, (work) => {
    const place = keyPlaces(k, config, p, work);
    const { blocks, length } = work;
    /** Rounds of blocks: of the n-th, its keys, and the values of the one before. */
    const round = k.var('u32', 0).named('round');
    const isTail = blocks.mul(tile.tokens).gt(length);
    const fetchKeys = () => {
      const stage = stageOf(done.add(round));
      place.seek(blocks.sub(1).sub(round));
      k.mbarrierWait(shared.keysEmpty.at(stage), parityOf(done.add(round)).xor(1));
      const full = shared.keysFull.at(stage);
      const absent = place.missing();
      k.if(isLeader, () => {
        if (absent !== undefined) shared.missing.at(stage).store(absent);
        k.mbarrierArriveExpectTx(full, keyBytes);
      });
      k.syncWarp();
      place.copy(p.k, shared.keys.tile(stage, 0), tile.headDimQk, full, 'now');
    };
    const fetchValues = () => {
      const before = round.sub(1);
      const stage = stageOf(done.add(before));
      k.mbarrierWait(shared.valuesEmpty.at(stage), parityOf(done.add(before)).xor(1));
      const fetch = (full: Pointer<'shared', 'b64'>) => {
        k.if(isLeader, () => k.mbarrierArriveExpectTx(full, valueBytes));
        k.syncWarp();
        place.copy(p.v, shared.values.tile(stage, 0), tile.headDimV, full, 'before');
      };
      k.if(
        isTail.and(before.eq(0)),
        () => fetch(shared.valuesRaw.at(0)),
        () => fetch(shared.valuesFull.at(stage)),
        { uniform: true },
      );
    };
    // The first keys find room before the queries do.
    k.if(blocks.ne(0), fetchKeys, { uniform: true });
    publish(work);
    k.if(
      blocks.ne(0),
      () => {
        k.while(
          () => round.add(1).lt(blocks),
          () => {
            round.set(round.add(1));
            place.keep();
            fetchKeys();
            fetchValues();
          },
          { uniform: true, unroll: false, name: 'fetch' },
        );
        round.set(round.add(1));
        place.keep();
        fetchValues();
      },
      { uniform: true },
    );
    done.set(done.add(blocks));
  });
  publish(undefined);
}

/** Finds the keys and values of a tile's blocks and starts their copies. */
interface KeyPlaces {
  /** Finds a block. */
  seek(block: Value<'u32'>): void;
  /** The block sought last becomes the one before. */
  keep(): void;
  /** A bit for each page of the block sought last that the cache does not have. */
  missing(): Value<'u32'> | undefined;
  copy(
    map: TensorMap<Element>,
    to: Pointer<'shared', Element>,
    columns: number,
    full: Pointer<'shared', 'b64'>,
    which: 'now' | 'before',
  ): void;
}

function keyPlaces(k: Ops, config: HopperMhaConfig, p: Params, work: TileSource): KeyPlaces {
  const { tile, keys, pageSize } = config;
  const tokens = boxTokens(config);
  const boxes = tile.tokens / tokens;
  const lane = k.laneId;
  const headK = work.head.div(p.groupSize).named('head_k');
  const newPlace = () => ({ token: k.var('u32', 0), page: k.var('u32', 0) });
  const places = { now: newPlace(), before: newPlace() };
  const isOwn = boxes === 1 ? k.electSync() : lane.lt(boxes);
  const table = p.blockTable.at(k.mulWide(work.request, p.blockTableStride)).folded();
  return {
    seek(block) {
      const first = block.mul(tile.tokens);
      const { token, page } = places.now;
      if (keys === 'packed') token.set(work.firstKey.add(first));
      else if (keys === 'blocks') {
        token.set(first);
        page.set(work.request);
      } else {
        const own = boxes === 1 ? first : first.add(lane.mul(tokens));
        token.set(boxes === 1 ? first.rem(pageSize) : k.constant('u32', 0));
        const isThere = own.lt(work.length).and(isOwnLane(lane, boxes));
        const entry = table.at(own.div(pageSize)).loadIf(isThere, p.numBlocks, { nc: true });
        // Outside of the map, copies bring zeros.
        page.set(entry.min(p.numBlocks));
      }
    },
    keep() {
      places.before.token.set(places.now.token);
      places.before.page.set(places.now.page);
    },
    missing() {
      if (keys !== 'paged') return undefined;
      return k
        .ballot(places.now.page.ge(p.numBlocks))
        .as('u32')
        .and(boxes === 1 ? 1 : 2 ** boxes - 1);
    },
    copy(map, to, columns, full, which) {
      const { token, page } = places[which];
      const at = (column: number) => [0, token, headK, page, column] as const;
      k.if(isOwn, () => {
        if (boxes === 1) {
          k.tensorLoad(to, map, at(0), full);
          return;
        }
        const own = to.bytes(lane.mul(tokens * 128)).folded();
        for (let column = 0; column < columns / tileColumns; column++) {
          k.tensorLoad(own.bytes(column * tile.tokens * 128), map, at(column), full);
        }
      });
    },
  };
}

/** Whether a lane looks up a page: with one for all, every lane does. */
const isOwnLane = (lane: Value<'u32'>, boxes: number): Value<'pred'> =>
  lane.lt(boxes === 1 ? 32 : boxes);
