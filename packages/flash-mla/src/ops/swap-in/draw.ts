import type { Random } from '../conformance/suite/random.ts';
import type { Integers, SwapInProblem, SwapInSizes, SwapInState } from './reference-problem.ts';

/** How random swap-ins are drawn. */
export interface SwapInDraw {
  readonly sizes: SwapInSizes;
  /** Rows of the tables; fewer requests than rows run. */
  readonly numRows: number;
  /** Rows of the batch, those that pad it included. */
  readonly batchSize: number;
  readonly maxLength: number;
  readonly integers: { readonly seqLens: 'i32' | 'i64'; readonly rows: 'i32' | 'i64' };
}

/** Arguments of one layer's swap-ins, with pages that no two rows share. Outputs hold garbage. */
export function drawArguments(draw: SwapInDraw, random: Random): SwapInProblem {
  const { sizes, numRows, batchSize, maxLength, integers } = draw;
  const { topK: k, bufferSize, pageSize } = sizes;
  const hostWidth = Math.ceil(maxLength / pageSize);
  const bufferWidth = bufferSize / pageSize + 1;
  const state: SwapInState = {
    slotTokens: new Int32Array(numRows * bufferSize),
    lruOrder: new Int16Array(numRows * bufferSize),
  };
  for (let row = 0; row < numRows; row++) resetState(state, row, bufferSize);
  const garbage = (length: number) => new Int32Array(length).fill(0x5a5a5a5);
  return {
    sizes,
    tables: {
      hostPages: shuffledPages(numRows * hostWidth, random),
      bufferPages: shuffledPages(numRows * bufferWidth, random),
      numRows,
      numHostPages: numRows * hostWidth + 1,
      numDevicePages: numRows * bufferWidth + 1,
    },
    state,
    topK: garbage(batchSize * k),
    seqLens: integers.seqLens === 'i32' ? new Int32Array(batchSize) : new BigInt64Array(batchSize),
    rows: integers.rows === 'i32' ? new Int32Array(batchSize) : new BigInt64Array(batchSize),
    locations: garbage(batchSize * k),
    plan: {
      hostRows: garbage(batchSize * k),
      deviceRows: garbage(batchSize * k),
      counts: garbage(batchSize),
    },
  };
}

/** Pages 1 to n in random order. */
function shuffledPages(n: number, random: Random): Int32Array {
  return random.shuffle(Int32Array.from({ length: n }, (_, i) => i + 1));
}

/** A row gets another request: the first tokens are in the slots of their positions, the first is the oldest. */
export function resetState(state: SwapInState, row: number, bufferSize: number): void {
  for (let slot = 0; slot < bufferSize; slot++) {
    state.slotTokens[row * bufferSize + slot] = slot;
    state.lruOrder[row * bufferSize + slot] = slot;
  }
}

/**
 * What an indexer might choose of a sequence, with what no indexer should: entries that are none,
 * duplicates, positions beyond the end. `near` is how often a token comes from the last choice.
 */
export function drawTopK(
  { topK: k }: SwapInSizes,
  length: number,
  last: readonly number[],
  random: Random,
): number[] {
  const near = random.pick([0, 0.5, 0.95, 1]);
  const isClean = random.chance(0.5);
  const chosen: number[] = [];
  const taken = new Set<number>();
  while (chosen.length < k) {
    const oddity = isClean ? 1 : random.uniform();
    if (oddity < 0.1) chosen.push(random.pick([-1, -1, -2, length, 2 ** 31 - 1]));
    else if (oddity < 0.2 && chosen.length > 0) chosen.push(random.pick(chosen));
    else if (taken.size >= length) chosen.push(-1);
    else {
      const isNear = last.length > 0 && random.chance(near);
      let token = isNear ? random.pick(last) : random.integer(0, length - 1);
      if (random.chance(0.1)) token = length - 1;
      // The next one that was not chosen yet: a clean choice has no duplicates.
      token = token < 0 || token >= length ? 0 : token;
      while (taken.has(token)) token = (token + 1) % length;
      taken.add(token);
      chosen.push(token);
    }
  }
  return chosen;
}

export function setInteger(integers: Integers, index: number, value: number): void {
  if (integers instanceof Int32Array) integers[index] = value;
  else integers[index] = BigInt(value);
}
