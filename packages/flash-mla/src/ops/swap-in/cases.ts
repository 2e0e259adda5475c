import { type HostTensor, hostTensor } from '@flash-mla/core';
import { defineCases } from '../conformance/suite/define-cases.ts';
import type { Random } from '../conformance/suite/random.ts';
import { exact } from '../conformance/tolerance.ts';
import { drawArguments, drawTopK, setInteger } from './draw.ts';
import { copyMisses, swapIn as swapInReference } from './reference.ts';
import type { Integers, SwapInProblem } from './reference-problem.ts';
import { swapIn } from './swap-in.ts';

interface SwapInParams {
  readonly op: 'swap-in';
  readonly requests: number;
  readonly topK: number;
  readonly bufferSize: number;
  readonly page: number;
  readonly rowBytes: number;
  readonly maxLength: number;
  readonly blockSize?: number;
  readonly wide?: 'lengths' | 'rows' | 'both';
  readonly graph?: boolean;
}

interface Drawn {
  readonly problem: SwapInProblem;
  readonly host: Uint8Array;
  readonly device: Uint8Array;
}

const small = { op: 'swap-in', requests: 4, page: 16, rowBytes: 656 } as const;
const v32 = { op: 'swap-in', topK: 2048, page: 64, rowBytes: 656 } as const;

const quick: readonly SwapInParams[] = [
  { ...small, topK: 32, bufferSize: 64, maxLength: 120 },
  { ...small, topK: 50, bufferSize: 96, maxLength: 200, blockSize: 64, wide: 'both' },
  {
    ...small,
    topK: 64,
    bufferSize: 64,
    maxLength: 100,
    blockSize: 1024,
    wide: 'rows',
    rowBytes: 16,
  },
  { ...small, topK: 9, bufferSize: 640, maxLength: 700, blockSize: 96, wide: 'lengths' },
  { ...small, topK: 32, bufferSize: 64, maxLength: 120, rowBytes: 1152, graph: true },
];

const full: readonly SwapInParams[] = [1, 8].flatMap((requests) => [
  { ...v32, requests, bufferSize: 4096, maxLength: 9000 },
  { ...v32, requests, bufferSize: 8192, maxLength: 9000, rowBytes: 1152, blockSize: 960 },
]);

/** Everything is integers and bytes, so devices have to agree exactly, state and padding included. */
export const swapInCases = defineCases<SwapInParams, Drawn>({
  quick,
  full,
  cost: ({ requests, topK, bufferSize }) => requests * (topK + bufferSize) * 200,

  problem(params, random) {
    const {
      requests: batchSize,
      topK,
      bufferSize,
      page: pageSize,
      maxLength,
      rowBytes,
      wide,
    } = params;
    const sizes = { topK, bufferSize, pageSize };
    const integers = {
      seqLens: wide === 'lengths' || wide === 'both' ? 'i64' : 'i32',
      rows: wide === 'rows' || wide === 'both' ? 'i64' : 'i32',
    } as const;
    const numRows = batchSize + 1;
    const problem = drawArguments({ sizes, numRows, batchSize, maxLength, integers }, random);
    const { numHostPages, numDevicePages } = problem.tables;
    const bytes = (pages: number) =>
      Uint8Array.from({ length: pages * pageSize * rowBytes }, () => random.integer(0, 255));
    const drawn = { problem, host: bytes(numHostPages), device: bytes(numDevicePages) };
    // Buffers that have been used already.
    drawBatch(problem, maxLength, random);
    solve(drawn, rowBytes);
    drawBatch(problem, maxLength, random);
    return drawn;
  },

  expected(drawn, { topK, bufferSize, rowBytes }) {
    const after = structuredClone(drawn);
    solve(after, rowBytes);
    const { locations, plan, state } = after.problem;
    const answer = (values: ArrayLike<number>, rowLength: number) => ({
      ...{ values: Float64Array.from(values), rowLength, tolerance: exact },
    });
    return {
      locations: answer(locations, topK),
      plannedHostRows: answer(plan.hostRows, topK),
      plannedDeviceRows: answer(plan.deviceRows, topK),
      missCounts: answer(plan.counts, 1),
      slotTokens: answer(state.slotTokens, bufferSize),
      lruOrder: answer(new Uint8Array(state.lruOrder.buffer), 2 * bufferSize),
      deviceCache: answer(after.device, rowBytes),
    };
  },

  upload(
    uploads,
    { problem, host, device },
    { blockSize, bufferSize, page, requests, rowBytes, topK },
  ) {
    const { tables, state, plan } = problem;
    const { numRows } = tables;
    const ints = (data: Int32Array, ...shape: number[]) => {
      return uploads.put(hostTensor('i32', shape, data.slice()));
    };
    const integers = (data: Integers) =>
      data instanceof Int32Array
        ? ints(data, requests)
        : uploads.put(hostTensor('i64', [requests], data.slice()));
    const bytes = (data: Uint8Array, ...shape: number[]) => {
      const tensor: HostTensor<'u8'> = hostTensor('u8', shape, data.slice());
      return uploads.put(tensor);
    };
    const slotTokens = ints(state.slotTokens, numRows, bufferSize);
    const lruOrder = bytes(new Uint8Array(state.lruOrder.buffer), numRows, 2 * bufferSize);
    const deviceCache = bytes(device, tables.numDevicePages, page, 1, rowBytes);
    const options = {
      ...{ topK: ints(problem.topK, requests, topK), slotTokens, lruOrder, deviceCache, blockSize },
      ...{ seqLens: integers(problem.seqLens), rows: integers(problem.rows) },
      hostPages: ints(tables.hostPages, numRows, tables.hostPages.length / numRows),
      bufferPages: ints(tables.bufferPages, numRows, bufferSize / page + 1),
      hostCache: bytes(host, tables.numHostPages, page, 1, rowBytes),
      // Beyond the number of misses a plan keeps what it held.
      locations: ints(problem.locations, requests, topK),
      plannedHostRows: ints(plan.hostRows, requests, topK),
      plannedDeviceRows: ints(plan.deviceRows, requests, topK),
      missCounts: ints(plan.counts, requests),
    };
    return () => ({ ...swapIn(options), slotTokens, lruOrder, deviceCache });
  },

  excluded: () => {
    return { webgpu: 'no kernel: a GPU in a browser cannot read memory of the host' };
  },
});

/** Lengths around H, one sequence that is whole in its buffer, and a request that pads the batch. */
function drawBatch(problem: SwapInProblem, maxLength: number, random: Random): void {
  const { sizes, tables, topK, seqLens, rows, plan } = problem;
  const { bufferSize } = sizes;
  const order = random.shuffle(Array.from({ length: tables.numRows }, (_, row) => row));
  for (const [request, row] of order.slice(0, plan.counts.length).entries()) {
    const lengths = [maxLength, bufferSize + 1, maxLength - 1, bufferSize];
    const length = lengths[request % lengths.length] ?? 0;
    const isPadding = request === 3;
    topK.set(drawTopK(sizes, length, [], random), request * sizes.topK);
    setInteger(seqLens, request, length);
    setInteger(rows, request, isPadding ? -1 : row);
  }
}

function solve({ problem, host, device }: Drawn, rowBytes: number): void {
  swapInReference(problem);
  copyMisses({ plan: problem.plan, topK: problem.sizes.topK, rowBytes, host, device });
}
