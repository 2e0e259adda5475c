import type { MissPlan, SwapInProblem } from './reference-problem.ts';

/** What a swap-in found, over all requests. */
export interface SwapInCounts {
  /** Tokens that were in a hot buffer, the newest included. */
  hits: number;
  misses: number;
}

/**
 * Brings the tokens that queries attend to into the hot buffers: finds out where they are or will be,
 * which rows have to be copied for that, and what is then the least recently used. `copyMisses` copies.
 *
 * It is the definition of the operation, on the processor. A kernel must give the same locations, plan
 * and state. For each request:
 *
 * 1. A request whose row is none pads the batch and gets −1 everywhere.
 * 2. A sequence of at most H tokens is in its buffer whole: token t is in slot t. The state stays as it is.
 * 3. Else every wanted token counts once. The newest one is in slot H, and never part of the following.
 * 4. Slots are looked at from the least recently used on: those with a wanted token are hits.
 * 5. The wanted tokens that are in no slot are misses, in the order of their first index in the top-k. Miss
 *    m takes the m-th slot that is no hit.
 * 6. The new order is: slots that were neither hit nor taken, slots that were taken, hits.
 * 7. The plan lists, by miss, the row of the host and the row of the device.
 *
 * A miss without a host or device page gets no location and its slot stays empty: nothing is copied.
 */
export function swapIn(args: SwapInProblem): SwapInCounts {
  const { topK: k } = args.sizes;
  const counts: SwapInCounts = { hits: 0, misses: 0 };
  for (let request = 0; request < args.plan.counts.length; request++) {
    const row = Number(args.rows[request] ?? -1);
    const isReal = row >= 0 && row < args.tables.numRows;
    const first = request * k;
    args.plan.counts[request] = 0;
    if (!isReal) {
      args.locations.fill(-1, first, first + k);
      continue;
    }
    const length = Number(args.seqLens[request] ?? 0);
    if (length <= args.sizes.bufferSize) counts.hits += locate(args, request, row, length);
    else resolve(args, request, row, length, counts);
  }
  return counts;
}

/** Step 2. */
function locate(args: SwapInProblem, request: number, row: number, length: number): number {
  const { topK, locations, sizes } = args;
  let hits = 0;
  for (let i = request * sizes.topK; i < (request + 1) * sizes.topK; i++) {
    const token = topK[i] ?? -1;
    const isThere = token >= 0 && token < length;
    if (isThere) hits++;
    locations[i] = isThere ? deviceRow(args, row, token) : -1;
  }
  return hits;
}

/** Steps 3 to 7. */
function resolve(
  args: SwapInProblem,
  request: number,
  row: number,
  length: number,
  counts: SwapInCounts,
): void {
  const { bufferSize, topK: k } = args.sizes;
  const first = request * k;
  const topK = args.topK.subarray(first, first + k);
  const slotTokens = args.state.slotTokens.subarray(row * bufferSize, (row + 1) * bufferSize);
  const lruOrder = args.state.lruOrder.subarray(row * bufferSize, (row + 1) * bufferSize);

  const newest = length - 1;
  const isWanted = (token: number) => token >= 0 && token < newest;
  const wanted = new Set(topK.filter(isWanted));

  const slotOf = new Map<number, number>();
  const hits: number[] = [];
  const evictable: number[] = [];
  for (const slot of lruOrder) {
    const token = slotTokens[slot] ?? -1;
    if (!wanted.has(token)) evictable.push(slot);
    else {
      hits.push(slot);
      slotOf.set(token, slot);
    }
  }

  let numMisses = 0;
  for (const token of wanted) {
    if (slotOf.has(token)) continue;
    const slot = evictable[numMisses] ?? -1;
    slotOf.set(token, slot);
    const isPlanned = planCopy(args, first + numMisses, row, token, slot);
    slotTokens[slot] = isPlanned ? token : -1;
    numMisses++;
  }
  args.plan.counts[request] = numMisses;
  lruOrder.set([...evictable.slice(numMisses), ...evictable.slice(0, numMisses), ...hits]);

  for (const [i, token] of topK.entries()) {
    const slot = token === newest ? bufferSize : (slotOf.get(token) ?? -1);
    const isLoaded = token === newest || slotTokens[slot] === token;
    args.locations[first + i] = isLoaded && token >= 0 ? deviceRow(args, row, slot) : -1;
  }
  counts.misses += numMisses;
  counts.hits += hits.length + (topK.includes(newest) ? 1 : 0);
}

/** Writes one miss into the plan. False, and nothing to copy, where a page is missing. */
function planCopy(
  args: SwapInProblem,
  at: number,
  row: number,
  token: number,
  slot: number,
): boolean {
  const to = deviceRow(args, row, slot);
  const from = to < 0 ? -1 : hostRow(args, row, token);
  args.plan.hostRows[at] = from;
  args.plan.deviceRows[at] = from < 0 ? -1 : to;
  return from >= 0;
}

function deviceRow({ sizes, tables }: SwapInProblem, row: number, slot: number): number {
  const { bufferSize, pageSize } = sizes;
  const width = bufferSize / pageSize + 1;
  const page = tables.bufferPages[row * width + Math.floor(slot / pageSize)] ?? -1;
  if (page < 0 || page >= tables.numDevicePages) return -1;
  return page * pageSize + (slot % pageSize);
}

function hostRow({ sizes, tables }: SwapInProblem, row: number, token: number): number {
  const { pageSize } = sizes;
  const width = tables.hostPages.length / tables.numRows;
  const index = Math.floor(token / pageSize);
  const page = index < width ? (tables.hostPages[row * width + index] ?? -1) : -1;
  if (page < 0 || page >= tables.numHostPages) return -1;
  return page * pageSize + (token % pageSize);
}

/** Rows of one layer, in bytes: row r begins at r · rowBytes. */
export interface MissCopy {
  readonly plan: MissPlan;
  readonly topK: number;
  readonly rowBytes: number;
  readonly host: Uint8Array;
  readonly device: Uint8Array;
}

/** Step 7's copies, for one layer. Returns the bytes that were copied. */
export function copyMisses({ plan, topK, rowBytes, host, device }: MissCopy): number {
  const { hostRows: sourceRows, deviceRows: targetRows, counts } = plan;
  const rows = { sourceRows, targetRows, counts, most: topK, rowBytes };
  return copyRows({ ...rows, source: host, target: device });
}

/** Rows of one cache that go to rows of another one, in bytes: row r begins at r · rowBytes. */
export interface RowCopy {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly rowBytes: number;
  /** int32 (requests, most): rows that are none are skipped. */
  readonly sourceRows: Int32Array;
  readonly targetRows: Int32Array;
  /** Entries of a request. */
  readonly most: number;
  /** int32 (requests): leading entries of each request that are valid; all where it is left out. */
  readonly counts?: Int32Array;
}

/** Copies rows in their order: the definition of the operation. Returns the bytes that were copied. */
export function copyRows(args: RowCopy): number {
  const { source, target, rowBytes, sourceRows, targetRows, most, counts } = args;
  const isRow = (row: number, cache: Uint8Array) =>
    row >= 0 && (row + 1) * rowBytes <= cache.length;
  let copied = 0;
  for (let request = 0; request * most < sourceRows.length; request++) {
    const count = Math.min(most, counts === undefined ? most : (counts[request] ?? 0));
    for (let i = request * most; i < request * most + count; i++) {
      const [from = -1, to = -1] = [sourceRows[i], targetRows[i]];
      if (!isRow(from, source) || !isRow(to, target)) continue;
      target.set(source.subarray(from * rowBytes, (from + 1) * rowBytes), to * rowBytes);
      copied += rowBytes;
    }
  }
  return copied;
}
