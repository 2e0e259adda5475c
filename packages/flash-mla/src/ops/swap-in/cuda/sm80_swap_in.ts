import { defineKernel, global, type Kernel, type ParamDecls, type Value } from '@flash-mla/ptx';
import type { SwapInSizes } from '../reference-problem.ts';
import { beforeInWarp, bucketOf, prefixCounts } from './lookup.ts';
import { emptyBucket, hasSlot, swapInSharedLayout } from './shared-layout.ts';

/** What the code depends on. */
export interface SwapInConfig extends SwapInSizes {
  /** Bytes of a token's row: a multiple of 16. */
  readonly rowBytes: number;
  /** Threads: a multiple of 32 up to 1024. */
  readonly blockSize: number;
  readonly lengthBytes: 4 | 8;
  readonly rowNumberBytes: 4 | 8;
}

const params = {
  topK: global('u32'),
  /** i32 or i64. */
  seqLens: global('u32'),
  rows: global('u32'),
  hostPages: global('u32'),
  bufferPages: global('u32'),
  slotTokens: global('u32'),
  lruOrder: global('u16'),
  hostCache: global('b32'),
  deviceCache: global('b32'),
  locations: global('u32'),
  plannedHostRows: global('u32'),
  plannedDeviceRows: global('u32'),
  missCounts: global('u32'),
  numRows: 'u32',
  /** Pages of the longest sequence. */
  hostWidth: 'u32',
  numHostPages: 'u32',
  numDevicePages: 'u32',
} as const satisfies ParamDecls;

export type SwapInParams = typeof params;

/** −1 as an unsigned number, and what an entry of the top-k is that names the newest token. */
const [none, newestToken] = [0xffff_ffff, 0xffff_fffe];
/** Copies of 16 bytes that a thread has under way. */
const copiesAhead = 4;

/**
 * A CTA takes a request. Wanted tokens go into a hash table in shared memory; slots, read from the least
 * recently used on, look themselves up in it. Ballots and prefix sums put slots and misses in order, so
 * the result does not depend on the order of threads.
 */
export function buildSwapIn(config: SwapInConfig): Kernel<SwapInParams> {
  const { topK, bufferSize, pageSize, blockSize, rowBytes } = config;
  const { shared, numBuckets, numGroups } = swapInSharedLayout(config);
  const warps = blockSize / 32;
  const numItems = Math.ceil(topK / blockSize);
  return defineKernel({ name: 'sm80_swap_in', params, shared, block: [blockSize] }, (k, p) => {
    const { hashTokens, hashSlots, masks, counts, order } = k.shared;
    const [thread, lane, warp] = [k.threadIdx.x, k.laneId, k.warpId];
    const request = k.widen(k.blockIdx.x).named('request');
    const entries = request.mul(topK).named('entries');
    const locations = p.locations.at(entries);
    const eachEntry = (body: (index: Value<'u32'>) => void) =>
      k.for({ from: thread, to: topK, step: blockSize }, body);
    const leave = () => {
      k.if(thread.eq(0), () => p.missCounts.at(request).store(0));
      k.exit();
    };

    const row = k.var('u32', none);
    const length = k.var('u32', 0);
    k.section('the request', () => {
      const read = (from: typeof p.rows, bytes: 4 | 8) => {
        const at = from.at(request.mul(bytes / 4));
        const [low, high] = bytes === 4 ? [at.load()] : at.loadVec(2);
        return { low, high };
      };
      const number = read(p.rows, config.rowNumberBytes);
      const isNone = number.low.ge(p.numRows);
      row.set(k.select(number.high ? isNone.or(number.high.ne(0)) : isNone, none, number.low));
      const { low, high } = read(p.seqLens, config.lengthBytes);
      // Negative is none, and more than 2^31 − 1 as long as can be.
      if (high === undefined) length.set(k.select(low.ge(hasSlot), 0, low, 'u32'));
      else {
        const positive = k.select(high.ne(0).or(low.ge(hasSlot)), 0x7fff_ffff, low, 'u32');
        length.set(k.select(high.ge(hasSlot), 0, positive, 'u32'));
      }
      k.if(row.eq(none), () => {
        eachEntry((index) => locations.at(index).store(none));
        leave();
      });
    });

    const bufferPages = p.bufferPages.at(k.mulWide(row, bufferSize / pageSize + 1));
    const deviceRow = (slot: Value<'u32'>): Value<'u32'> => {
      const page = bufferPages.at(slot.div(pageSize)).load();
      const place = k.mad(page, pageSize, slot.rem(pageSize));
      return k.select(page.lt(p.numDevicePages), place, none, 'u32');
    };
    const hostRow = (token: Value<'u32'>): Value<'u32'> => {
      const index = token.div(pageSize);
      const isInside = index.lt(p.hostWidth);
      const pages = p.hostPages.at(k.widen(row).mul(k.widen(p.hostWidth)));
      const page = pages.at(k.select(isInside, index, 0, 'u32')).load();
      const place = k.mad(page, pageSize, token.rem(pageSize));
      return k.select(isInside.and(page.lt(p.numHostPages)), place, none, 'u32');
    };

    k.section('a sequence that is in its buffer whole', () => {
      k.if(length.le(bufferSize), () => {
        eachEntry((index) => {
          const token = p.topK.at(entries).at(index).load();
          const isThere = token.lt(length);
          const place = deviceRow(k.select(isThere, token, 0, 'u32'));
          locations.at(index).store(k.select(isThere, place, none, 'u32'));
        });
        leave();
      });
    });

    const newest = length.sub(1).named('newest');
    const slotTokens = p.slotTokens.at(k.mulWide(row, bufferSize));
    const lruOrder = p.lruOrder.at(k.mulWide(row, bufferSize));
    /** A thread's entries of the top-k: their tokens, and their buckets or what else they are. */
    const items = Array.from({ length: numItems }, (_, i) => ({
      index: thread.add(i * blockSize),
      isThere: (i + 1) * blockSize <= topK ? undefined : thread.lt(topK - i * blockSize),
      token: k.var('u32', none),
      bucket: k.var('u32', none),
    }));
    type Item = (typeof items)[number];
    const eachItem = (body: (item: Item) => void) => {
      for (const item of items) {
        if (item.isThere === undefined) body(item);
        else k.if(item.isThere, () => body(item));
      }
    };

    k.section('hash the wanted tokens', () => {
      k.for({ from: thread, to: numBuckets, step: blockSize }, (bucket) => {
        hashTokens.at(bucket).store(emptyBucket);
        hashSlots.at(bucket).store(hasSlot - 1);
      });
      k.barrier();
      eachItem(({ index, token, bucket }) => {
        token.set(p.topK.at(entries).at(index).load());
        k.if(token.eq(newest), () => bucket.set(newestToken));
        k.if(token.lt(newest), () => {
          bucket.set(bucketOf(k, token, numBuckets));
          k.loop((loop) => {
            const before = k.atomicCas(hashTokens.at(bucket), emptyBucket, token);
            loop.breakIf(before.eq(emptyBucket).or(before.eq(token)));
            bucket.set(bucket.add(1).and(numBuckets - 1));
          });
          k.reduceMin(hashSlots.at(bucket), index);
        });
      });
      k.barrier();
    });

    /** Warps take 32 slots in turn, from the least recently used on. */
    const eachGroup = (body: (group: Value<'u32'>, place: Value<'u32'>) => void) =>
      k.for({ from: warp, to: Math.ceil(bufferSize / 32), step: warps, uniform: true }, (group) =>
        body(group, k.mad(group, 32, lane)),
      );
    const slotAt = (place: Value<'u32'>) =>
      lruOrder
        .at(place)
        .load()
        .min(bufferSize - 1);
    const isSlot = (place: Value<'u32'>) => place.lt(bufferSize);

    k.section('find hits', () => {
      eachGroup((group, place) => {
        const isHit = k.var('u32', 0);
        k.if(isSlot(place), () => {
          const slot = slotAt(place);
          const token = slotTokens.at(slot).load();
          const bucket = k.var('u32', bucketOf(k, token, numBuckets));
          const found = k.var('u32', emptyBucket);
          k.loop((loop) => {
            found.set(hashTokens.at(bucket).load());
            loop.breakIf(found.eq(emptyBucket).or(found.eq(token)));
            bucket.set(bucket.add(1).and(numBuckets - 1));
          });
          k.if(found.ne(emptyBucket), () => {
            isHit.set(1);
            hashSlots.at(bucket).store(slot.or(hasSlot));
          });
        });
        const mask = k.ballot(isHit.ne(0)).as('u32');
        k.if(lane.eq(0), () => masks.at(group).store(mask));
      });
      k.barrier();
      prefixCounts(k, k.shared, Math.ceil(bufferSize / 32), numGroups);
      k.barrier();
    });

    const numHits = k.copy(counts.at(numGroups).load()).named('numHits');
    const numFree = k.constant('u32', bufferSize).sub(numHits).named('numFree');
    k.section('slots without a hit, then hits, each in LRU order', () => {
      eachGroup((group, place) => {
        k.if(isSlot(place), () => {
          const mask = masks.at(group).load();
          const hitsBefore = counts.at(group).load().add(beforeInWarp(k, mask));
          const isHit = mask.shr(lane).and(1).ne(0);
          const to = k.select(isHit, numFree.add(hitsBefore), place.sub(hitsBefore), 'u32');
          order.at(to).store(slotAt(place));
        });
      });
      k.barrier();
    });

    k.section('find misses', () => {
      for (const [i, { index, isThere, bucket }] of items.entries()) {
        const isMiss = k.var('u32', 0);
        const look = () =>
          k.if(bucket.lt(numBuckets), () => {
            k.if(hashSlots.at(bucket).load().eq(index), () => isMiss.set(1));
          });
        if (isThere === undefined) look();
        else k.if(isThere, look);
        const mask = k.ballot(isMiss.ne(0)).as('u32');
        const group = warp.add(i * warps);
        const isGroup = group.lt(Math.ceil(topK / 32));
        k.if(lane.eq(0).and(isGroup), () => masks.at(group).store(mask));
      }
      k.barrier();
      prefixCounts(k, k.shared, Math.ceil(topK / 32), numGroups);
      k.barrier();
    });

    const numMisses = k.copy(counts.at(numGroups).load()).named('numMisses');
    k.section('give misses slots', () => {
      for (const [i, { isThere, token, bucket }] of items.entries()) {
        const give = () => {
          const group = warp.add(i * warps);
          const mask = masks.at(group).load();
          k.if(mask.shr(lane).and(1).ne(0), () => {
            const rank = counts.at(group).load().add(beforeInWarp(k, mask));
            const slot = order.at(rank).load();
            const to = deviceRow(slot);
            const from = hostRow(token);
            const isPlanned = to.ne(none).and(from.ne(none));
            const at = entries.add(k.widen(rank));
            p.plannedHostRows.at(at).store(k.select(isPlanned, from, none, 'u32'));
            p.plannedDeviceRows.at(at).store(k.select(isPlanned, to, none, 'u32'));
            slotTokens.at(slot).store(k.select(isPlanned, token, none, 'u32'));
            hashSlots.at(bucket).store(k.select(isPlanned, slot.or(hasSlot), none, 'u32'));
          });
        };
        if (isThere === undefined) give();
        else k.if(isThere, give);
      }
      k.if(thread.eq(0), () => p.missCounts.at(request).store(numMisses));
      k.barrier();
    });

    k.section('locations', () => {
      eachItem(({ index, bucket }) => {
        const slot = k.var('u32', none);
        k.if(bucket.eq(newestToken), () => slot.set(bufferSize));
        k.if(bucket.lt(numBuckets), () => {
          const found = hashSlots.at(bucket).load();
          slot.set(k.select(found.eq(none), none, found.and(hasSlot - 1), 'u32'));
        });
        const isSomewhere = slot.ne(none);
        const place = deviceRow(k.select(isSomewhere, slot, 0, 'u32'));
        locations.at(index).store(k.select(isSomewhere, place, none, 'u32'));
      });
    });

    k.section('the new LRU order', () => {
      const numUntouched = numFree.sub(numMisses);
      k.for({ from: thread, to: bufferSize, step: blockSize }, (place) => {
        const taken = k.select(place.lt(numFree), place.sub(numUntouched), place, 'u32');
        const from = k.select(place.lt(numUntouched), place.add(numMisses), taken, 'u32');
        lruOrder.at(place).store(order.at(from).load());
      });
    });

    k.section('copy', () => {
      const parts = rowBytes / 16;
      const rowOf = (cache: typeof p.hostCache, at: Value<'u32'>, part: Value<'u32'>) =>
        cache.at(k.mulWide(at, rowBytes / 4)).at(part.mul(4));
      const step = blockSize * copiesAhead;
      k.for({ from: thread, to: numMisses.mul(parts), step }, (first) => {
        const pieces = Array.from({ length: copiesAhead }, (_, i) => {
          const piece = first.add(i * blockSize);
          const miss = piece.div(parts);
          const part = piece.sub(miss.mul(parts));
          const [to, words] = [k.var('u32', none), k.vars('b32', 4, 0)];
          k.if(miss.lt(numMisses), () => {
            const at = entries.add(k.widen(miss));
            const from = p.plannedHostRows.at(at).load();
            to.set(p.plannedDeviceRows.at(at).load());
            k.if(to.ne(none), () => {
              const loaded = rowOf(p.hostCache, from, part).loadVec(4, { l1: 'none' });
              for (const [w, word] of loaded.entries()) words[w]?.set(word);
            });
          });
          return { to, part, words };
        });
        for (const { to, part, words } of pieces) {
          const [a, b, c, d] = words;
          if (!a || !b || !c || !d) continue;
          k.if(to.ne(none), () => rowOf(p.deviceCache, to, part).storeVec([a, b, c, d]));
        }
      });
    });
  });
}
