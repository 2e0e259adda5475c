import { describe, expect, it } from 'vitest';
import { Random } from '../conformance/suite/random.ts';
import { drawArguments, drawTopK, resetState, setInteger } from './draw.ts';
import { copyMisses, swapIn } from './reference.ts';
import type { SwapInProblem } from './reference-problem.ts';
import { NaiveSwapIn } from './testing/naive-swap-in.ts';

const rowBytes = 16;

interface Size {
  readonly topK: number;
  readonly bufferSize: number;
  readonly pageSize: number;
}

const cases: Size[] = [
  { topK: 1, bufferSize: 1, pageSize: 1 },
  { topK: 4, bufferSize: 4, pageSize: 2 },
  { topK: 5, bufferSize: 12, pageSize: 4 },
  { topK: 32, bufferSize: 64, pageSize: 16 },
  { topK: 40, bufferSize: 96, pageSize: 32 },
];

/** Rows of host and device memory that name their token. */
class Rows {
  readonly host: Uint8Array;
  readonly device: Uint8Array;
  readonly #args: SwapInProblem;
  constructor(args: SwapInProblem) {
    const { sizes, tables } = args;
    this.#args = args;
    this.host = new Uint8Array(tables.numHostPages * sizes.pageSize * rowBytes).fill(0xff);
    this.device = new Uint8Array(tables.numDevicePages * sizes.pageSize * rowBytes).fill(0xff);
  }

  /** A step writes its token's row: on the host, and in its slot on the device. */
  write(row: number, token: number): void {
    const { sizes, tables } = this.#args;
    const { pageSize, bufferSize } = sizes;
    const content = new Uint8Array(new Int32Array([row, token, row ^ token, 7]).buffer);
    const hostWidth = tables.hostPages.length / tables.numRows;
    const place = (pages: Int32Array, width: number, at: number) => {
      const page = pages[row * width + Math.floor(at / pageSize)] ?? 0;
      return (page * pageSize + (at % pageSize)) * rowBytes;
    };
    this.host.set(content, place(tables.hostPages, hostWidth, token));
    const slot = Math.min(token, bufferSize);
    this.device.set(content, place(tables.bufferPages, bufferSize / pageSize + 1, slot));
  }

  at(location: number): { row: number | undefined; token: number | undefined } {
    const [row, token] = new Int32Array(this.device.buffer, location * rowBytes, 2);
    return { row, token };
  }
}

describe.each(cases)('a swap-in with K $topK, H $bufferSize, P $pageSize', (sizes) => {
  const { topK: k, bufferSize, pageSize } = sizes;
  const integers = ['i32', 'i64'] as const;

  it.each([1, 2, 3])('is the naive model, and every location holds its token, seed %i', (seed) => {
    const random = new Random(`swap-in ${seed}`);
    const [numRows, batchSize, maxLength] = [5, 4, bufferSize + 3 * pageSize + 20];
    const widths = { seqLens: random.pick(integers), rows: random.pick(integers) };
    const args = drawArguments({ sizes, numRows, batchSize, maxLength, integers: widths }, random);
    const rows = new Rows(args);
    const sequences = Array.from({ length: numRows }, () => {
      return { naive: new NaiveSwapIn(bufferSize), length: 0, last: [] as number[] };
    });
    const append = (row: number) => {
      const sequence = sequences[row];
      if (sequence) rows.write(row, sequence.length++);
    };
    // From around K, H and page borders on.
    for (let row = 0; row < numRows; row++) {
      const start = random.pick([k, bufferSize - 1, bufferSize, bufferSize + 1, pageSize]);
      while ((sequences[row]?.length ?? start) < start - 1) append(row);
    }
    const [seen, step] = [{ misses: 0, hits: 0 }, { number: 0 }];
    while (sequences.some(({ length }) => length < maxLength)) {
      step.number++;
      const running = sequences
        .map((_, row) => row)
        .filter((row) => (sequences[row]?.length ?? 0) < maxLength && random.chance(0.7))
        .slice(0, batchSize);
      const chosen = running.map((row, request) => {
        append(row);
        const { length = 0, last = [] } = sequences[row] ?? {};
        const topK = drawTopK(sizes, length, last, random);
        args.topK.set(topK, request * k);
        setInteger(args.seqLens, request, length);
        setInteger(args.rows, request, row);
        return topK;
      });
      for (let request = running.length; request < batchSize; request++)
        setInteger(args.rows, request, random.pick([-1, numRows, 2 ** 31 - 1]));
      const untouched = sequences.map((_, row) => snapshot(args, row));
      const counts = swapIn(args);
      copyMisses({ plan: args.plan, topK: k, rowBytes, host: rows.host, device: rows.device });
      seen.misses += counts.misses;
      seen.hits += counts.hits;

      for (const [request, row] of running.entries()) {
        const [sequence, topK = []] = [sequences[row], chosen[request]];
        if (sequence === undefined) continue;
        const { slots, misses } = sequence.naive.run(topK, sequence.length);
        sequence.last = topK.filter((token) => token >= 0 && token < sequence.length);
        expect(args.plan.counts[request]).toBe(misses.length);
        const locations = args.locations.subarray(request * k, (request + 1) * k);
        const found = [...locations].map((at) => (at === -1 ? undefined : rows.at(at)));
        const expected = topK.map((token, i) =>
          slots[i] === undefined ? undefined : { row, token },
        );
        expect(found).toEqual(expected);
        const planned = [...args.plan.deviceRows.subarray(request * k, (request + 1) * k)];
        const taken = misses.map(({ slot }) => locationOf(args, row, slot));
        expect(planned.slice(0, misses.length)).toEqual(taken);
        const { lruOrder, slotTokens } = snapshot(args, row);
        if (sequence.length > bufferSize) {
          expect(lruOrder).toEqual(sequence.naive.lruOrder());
          expect(slotTokens).toEqual(sequence.naive.slots.map(({ token }) => token));
        }
      }
      for (const [row] of sequences.entries())
        if (!running.includes(row)) expect(snapshot(args, row)).toEqual(untouched[row]);
      for (let request = running.length; request < batchSize; request++) {
        expect(args.plan.counts[request]).toBe(0);
        const padding = args.locations.subarray(request * k, (request + 1) * k);
        expect(padding.every((location) => location === -1)).toBe(true);
      }
    }
    expect(seen.misses).toBeGreaterThan(0);
    expect(seen.hits).toBeGreaterThan(step.number);
  });
});

const snapshot = ({ state, sizes: { bufferSize } }: SwapInProblem, row: number) => ({
  lruOrder: [...state.lruOrder.subarray(row * bufferSize, (row + 1) * bufferSize)],
  slotTokens: [...state.slotTokens.subarray(row * bufferSize, (row + 1) * bufferSize)],
});

function locationOf({ sizes, tables }: SwapInProblem, row: number, slot: number): number {
  const width = sizes.bufferSize / sizes.pageSize + 1;
  const page = tables.bufferPages[row * width + Math.floor(slot / sizes.pageSize)] ?? -1;
  return page * sizes.pageSize + (slot % sizes.pageSize);
}

describe('a swap-in of what is not as it should be', () => {
  const sizes = { topK: 4, bufferSize: 4, pageSize: 2 };
  const one = (length: number, topK: number[]) => {
    const integers = { seqLens: 'i32', rows: 'i32' } as const;
    const draw = { sizes, numRows: 2, batchSize: 1, maxLength: 12, integers };
    const args = drawArguments(draw, new Random('swap-in'));
    args.topK.set(topK);
    setInteger(args.seqLens, 0, length);
    return args;
  };

  it('gives entries that are none nothing, and duplicates one slot', () => {
    const args = one(10, [7, -1, 7, 9]);
    expect(swapIn(args)).toEqual({ hits: 1, misses: 1 });
    const [a, none, again, newest] = args.locations;
    expect([a, none, again, newest]).toEqual([
      locationOf(args, 0, 0),
      -1,
      a,
      locationOf(args, 0, 4),
    ]);
    expect(snapshot(args, 0)).toEqual({ lruOrder: [1, 2, 3, 0], slotTokens: [7, 1, 2, 3] });
  });

  it.each([-1, 2, 99])('gives a request of row %i nothing', (row) => {
    const args = one(10, [0, 1, 2, 3]);
    setInteger(args.rows, 0, row);
    const before = [snapshot(args, 0), snapshot(args, 1)];
    expect(swapIn(args)).toEqual({ hits: 0, misses: 0 });
    expect([...args.locations, ...args.plan.counts]).toEqual([-1, -1, -1, -1, 0]);
    expect([snapshot(args, 0), snapshot(args, 1)]).toEqual(before);
  });

  it.each([0, -5])('finds nothing in a sequence of length %i', (length) => {
    const args = one(length, [0, 1, 2, 3]);
    swapIn(args);
    expect([...args.locations]).toEqual([-1, -1, -1, -1]);
  });

  it.each([-1, 1000])('copies nothing from a host page %i, and forgets the slot', (page) => {
    const args = one(10, [6, 0, -1, -1]);
    args.tables.hostPages[3] = page;
    expect(swapIn(args)).toEqual({ hits: 1, misses: 1 });
    expect([...args.locations].slice(0, 2)).toEqual([-1, locationOf(args, 0, 0)]);
    expect(snapshot(args, 0)).toEqual({ lruOrder: [2, 3, 1, 0], slotTokens: [0, -1, 2, 3] });
    const memory = new Uint8Array(1000);
    const copy = { plan: args.plan, topK: 4, rowBytes: 16, host: memory, device: memory };
    expect(copyMisses(copy)).toBe(0);
    // The next swap-in finds the page and loads it into the slot that stayed empty.
    args.tables.hostPages[3] = 1;
    args.topK.set([6, 2, 3, 0]);
    expect(swapIn(args)).toEqual({ hits: 3, misses: 1 });
    expect(snapshot(args, 0).slotTokens).toEqual([0, 6, 2, 3]);
  });

  it.each([-1, 1000])('loads nothing into a device page %i', (page) => {
    const args = one(10, [6, 9, -1, -1]);
    args.tables.bufferPages[0] = page;
    swapIn(args);
    expect([...args.locations].slice(0, 2)).toEqual([-1, locationOf(args, 0, 4)]);
    expect([args.plan.counts[0], args.plan.hostRows[0]]).toEqual([1, -1]);
  });

  it('reads no page beyond the table of a sequence', () => {
    const args = one(1000, [900, 999, 13, 0]);
    swapIn(args);
    expect([...args.locations]).toEqual([-1, locationOf(args, 0, 4), -1, locationOf(args, 0, 0)]);
  });

  it('starts anew where a row gets another request', () => {
    const args = one(10, [7, 6, 5, 4]);
    swapIn(args);
    resetState(args.state, 0, 4);
    expect(snapshot(args, 0)).toEqual({ lruOrder: [0, 1, 2, 3], slotTokens: [0, 1, 2, 3] });
    expect(snapshot(args, 1)).toEqual(snapshot(args, 0));
  });
});
