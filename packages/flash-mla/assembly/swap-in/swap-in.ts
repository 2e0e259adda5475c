/** HiSparse's swap-in; see src/ops/swap-in, whose reference.ts says what it means. */

import { SwapIn } from '../generated/swap-in';

/** In place of a token or a slot; of a slot that could not be loaded. */
const none: i32 = -1;
const notLoaded: i32 = -2;

// @ts-ignore: decorator
@inline
function int(array: usize, index: i32): i32 {
  return load<i32>(array + (<usize>index << 2));
}

// @ts-ignore: decorator
@inline
function setInt(array: usize, index: i32, value: i32): void {
  store<i32>(array + (<usize>index << 2), value);
}

// @ts-ignore: decorator
@inline
function integer(array: usize, index: i32, bytes: i32): i64 {
  return bytes == 8 ? load<i64>(array + (<usize>index << 3)) : <i64>int(array, index);
}

/** The row of a pool at a position of a list of pages; −1 where the page is none. */
function rowIn(pages: usize, numPages: i32, position: i32, pageSize: i32): i32 {
  const page = int(pages, position / pageSize);
  return page < 0 || page >= numPages ? none : page * pageSize + (position % pageSize);
}

/** The bucket of a token, or the empty one in which it would be. */
function find(tokens: usize, mask: u32, token: i32): i32 {
  let bucket = (<u32>token * 2654435761) & mask;
  while (true) {
    const there = int(tokens, bucket);
    if (there == token || there == none) return bucket;
    bucket = (bucket + 1) & mask;
  }
}

export function swapIn(command: SwapIn): void {
  const topK = command.topK;
  const bufferSize = command.bufferSize;
  const pageSize = command.pageSize;
  const rowBytes = command.rowBytes;
  const numBuckets = command.numBuckets;
  const hostWidth = command.hostWidth;
  const numHostPages = command.numHostPages;
  const numDevicePages = command.numDevicePages;
  const missCounts = command.missCounts;
  const mask = <u32>numBuckets - 1;
  const tokens = command.scratch(command.scratchBytes);
  const slots = tokens + (<usize>numBuckets << 2);
  const order = slots + (<usize>numBuckets << 2);

  for (let request = command.takeItem(); request < command.numRequests; request = command.takeItem()) {
    const entries = <usize>request * topK * 4;
    const wanted = command.positions + entries;
    const locations = command.locations + entries;
    const row = integer(command.rows, request, command.rowNumberBytes);
    if (row < 0 || row >= command.numRows) {
      memory.fill(locations, 0xff, <usize>topK << 2);
      setInt(missCounts, request, 0);
      continue;
    }
    const length = integer(command.seqLens, request, command.lengthBytes);
    const pagesOfBuffer = bufferSize / pageSize + 1;
    const bufferPages = command.bufferPages + <usize>row * pagesOfBuffer * 4;
    if (length <= bufferSize) {
      for (let i = 0; i < topK; i++) {
        const token = int(wanted, i);
        const isThere = token >= 0 && token < length;
        setInt(
          locations,
          i,
          isThere ? rowIn(bufferPages, numDevicePages, token, pageSize) : none,
        );
      }
      setInt(missCounts, request, 0);
      continue;
    }

    const hostPages = command.hostPages + <usize>row * hostWidth * 4;
    const slotTokens = command.slotTokens + <usize>row * bufferSize * 4;
    const lruOrder = command.lruOrder + <usize>row * bufferSize * 2;
    const newest = length - 1;
    memory.fill(tokens, 0xff, <usize>numBuckets << 2);
    memory.fill(slots, 0xff, <usize>numBuckets << 2);
    for (let i = 0; i < topK; i++) {
      const token = int(wanted, i);
      if (token >= 0 && token < newest) setInt(tokens, find(tokens, mask, token), token);
    }

    // Slots without a hit from the front of the list, hits from its end.
    let free = 0;
    let hits = 0;
    for (let place = 0; place < bufferSize; place++) {
      const slot = min(<i32>load<u16>(lruOrder + (<usize>place << 1)), bufferSize - 1);
      const token = int(slotTokens, slot);
      const bucket = find(tokens, mask, token);
      const isHit = token != none && int(tokens, bucket) == token;
      if (isHit) setInt(slots, bucket, slot);
      const to = isHit ? bufferSize - ++hits : free++;
      store<u16>(order + (<usize>to << 1), <u16>slot);
    }

    let misses = 0;
    for (let i = 0; i < topK; i++) {
      const token = int(wanted, i);
      if (token < 0 || token >= newest) continue;
      const bucket = find(tokens, mask, token);
      if (int(slots, bucket) != none) continue;
      const slot = <i32>load<u16>(order + (<usize>misses << 1));
      const to = rowIn(bufferPages, numDevicePages, slot, pageSize);
      const isListed = to >= 0 && token / pageSize < hostWidth;
      const from = isListed ? rowIn(hostPages, numHostPages, token, pageSize) : none;
      const isPlanned = from >= 0;
      setInt(command.plannedHostRows + entries, misses, from);
      setInt(command.plannedDeviceRows + entries, misses, isPlanned ? to : none);
      setInt(slotTokens, slot, isPlanned ? token : none);
      setInt(slots, bucket, isPlanned ? slot : notLoaded);
      if (isPlanned) {
        memory.copy(
          command.deviceCache + <usize>to * rowBytes,
          command.hostCache + <usize>from * rowBytes,
          rowBytes,
        );
      }
      misses++;
    }
    setInt(missCounts, request, misses);

    for (let i = 0; i < topK; i++) {
      const token = int(wanted, i);
      let slot = none;
      if (<i64>token == newest) slot = bufferSize;
      else if (token >= 0 && token < newest) slot = int(slots, find(tokens, mask, token));
      setInt(locations, i, slot < 0 ? none : rowIn(bufferPages, numDevicePages, slot, pageSize));
    }

    // Untouched slots, filled ones, hits; the hits stand in the list from its end on.
    for (let place = 0; place < bufferSize; place++) {
      let from = bufferSize - 1 - (place - free);
      if (place < free - misses) from = place + misses;
      else if (place < free) from = place - (free - misses);
      store<u16>(lruOrder + (<usize>place << 1), load<u16>(order + (<usize>from << 1)));
    }
  }
}
