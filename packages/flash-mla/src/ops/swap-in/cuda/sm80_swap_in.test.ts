import { describe, expect, it } from 'vitest';
import { Random } from '../../conformance/suite/random.ts';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor, SimContext } from '../../kernel-lib/cuda/testing/sim-context.ts';
import { drawArguments, drawTopK, setInteger } from '../draw.ts';
import type { SwapInArgs } from '../operation.ts';
import { copyMisses, swapIn } from '../reference.ts';
import type { Integers, SwapInProblem } from '../reference-problem.ts';
import { swapInSharedLayout } from './shared-layout.ts';
import { buildSwapIn } from './sm80_swap_in.ts';
import { portableSwapIn, type SwapInKernelProblem } from './sm80_swap_in_launch.ts';

const rowBytes = 48;

/** A call of the kernel on the state of a problem: what it leaves behind is written back. */
function runKernel(
  problem: SwapInProblem,
  caches: { host: Uint8Array; device: Uint8Array },
  blockSize: number,
) {
  const { sizes, tables, state, plan } = problem;
  const { topK: k, bufferSize, pageSize } = sizes;
  const [requests, numRows] = [plan.counts.length, tables.numRows];
  const context = new SimContext(limitsFor('h200'));
  const ints = (data: Int32Array, shape: number[]) => context.tensor('i32', shape, data);
  const integers = (data: Integers) =>
    context.tensor(data instanceof Int32Array ? 'i32' : 'i64', [requests], data);
  const cache = (data: Uint8Array, pages: number) =>
    context.tensor('u8', [pages, pageSize, 1, rowBytes], data);
  const args: SwapInArgs = {
    topK: ints(problem.topK, [requests, k]),
    seqLens: integers(problem.seqLens),
    rows: integers(problem.rows),
    hostPages: ints(tables.hostPages, [numRows, tables.hostPages.length / numRows]),
    bufferPages: ints(tables.bufferPages, [numRows, bufferSize / pageSize + 1]),
    slotTokens: ints(state.slotTokens, [numRows, bufferSize]),
    lruOrder: context.tensor('u8', [numRows, 2 * bufferSize], state.lruOrder),
    hostCache: cache(caches.host, tables.numHostPages),
    deviceCache: cache(caches.device, tables.numDevicePages),
    blockSize,
    locations: ints(problem.locations, [requests, k]),
    plannedHostRows: ints(plan.hostRows, [requests, k]),
    plannedDeviceRows: ints(plan.deviceRows, [requests, k]),
    missCounts: ints(plan.counts, [requests]),
  };
  context.run(portableSwapIn, args);
  const read = (view: SwapInArgs['topK']) => new Int32Array(context.read(view).buffer);
  return {
    locations: read(args.locations),
    counts: read(args.missCounts),
    hostRows: read(args.plannedHostRows),
    deviceRows: read(args.plannedDeviceRows),
    slotTokens: read(args.slotTokens),
    lruOrder: new Int16Array(context.read(args.lruOrder).buffer),
    device: context.read(args.deviceCache),
  };
}

/** The same by the definition, in place. */
function runReference(problem: SwapInProblem, caches: { host: Uint8Array; device: Uint8Array }) {
  swapIn(problem);
  copyMisses({ plan: problem.plan, topK: problem.sizes.topK, rowBytes, ...caches });
  const { locations, plan, state } = problem;
  return { locations, ...plan, ...state, device: caches.device };
}

interface Case {
  readonly topK: number;
  readonly bufferSize: number;
  readonly pageSize: number;
  readonly blockSize: number;
  readonly seqLens: 'i32' | 'i64';
  readonly rows: 'i32' | 'i64';
}

const cases: Case[] = [
  { topK: 1, bufferSize: 1, pageSize: 1, blockSize: 32, seqLens: 'i32', rows: 'i32' },
  { topK: 7, bufferSize: 12, pageSize: 4, blockSize: 64, seqLens: 'i64', rows: 'i32' },
  { topK: 40, bufferSize: 96, pageSize: 32, blockSize: 32, seqLens: 'i32', rows: 'i64' },
  { topK: 64, bufferSize: 64, pageSize: 16, blockSize: 96, seqLens: 'i64', rows: 'i64' },
  { topK: 100, bufferSize: 1200, pageSize: 3, blockSize: 128, seqLens: 'i32', rows: 'i32' },
  { topK: 130, bufferSize: 192, pageSize: 64, blockSize: 1024, seqLens: 'i32', rows: 'i32' },
];

describe.each(cases)('K $topK, H $bufferSize, P $pageSize, $blockSize threads', (each) => {
  it('is the definition, step for step', () => {
    const { topK, bufferSize, pageSize, blockSize } = each;
    const sizes = { topK, bufferSize, pageSize };
    const random = new Random(`swap-in ${JSON.stringify(each)}`);
    const [numRows, batchSize] = [4, 3];
    const maxLength = bufferSize + 40;
    const integers = { seqLens: each.seqLens, rows: each.rows };
    const problem = drawArguments({ sizes, numRows, batchSize, maxLength, integers }, random);
    const { tables } = problem;
    const bytes = (pages: number) =>
      Uint8Array.from({ length: pages * pageSize * rowBytes }, () => random.integer(0, 255));
    const caches = { host: bytes(tables.numHostPages), device: bytes(tables.numDevicePages) };
    // Pages that are none, here and there.
    if (bufferSize > 64) {
      tables.hostPages[tables.hostPages.length - 1] = -1;
      tables.hostPages[tables.hostPages.length - 2] = tables.numHostPages;
      tables.bufferPages[tables.bufferPages.length - 2] = tables.numDevicePages;
    }
    const last: number[][] = Array.from({ length: numRows }, () => []);
    let misses = 0;
    for (let step = 0; step < 6; step++) {
      const rows = random.shuffle([0, 1, 2, 3]).slice(0, batchSize);
      for (const [request, row] of rows.entries()) {
        const isPadding = random.chance(0.15);
        const near = random.integer(-2, 2);
        const length = random.pick([0, topK, bufferSize + near, bufferSize + 20, maxLength]);
        const tokens = drawTopK(sizes, Math.max(1, length), last[row] ?? [], random);
        last[row] = tokens.filter((token) => token >= 0 && token < length);
        problem.topK.set(tokens, request * topK);
        setInteger(problem.seqLens, request, random.chance(0.1) ? -length : length);
        setInteger(
          problem.rows,
          request,
          isPadding ? random.pick([-1, numRows, 2 ** 31 - 1]) : row,
        );
      }
      const actual = runKernel(problem, caches, blockSize);
      // Beyond the number of misses a plan holds what it held.
      const expected = runReference(problem, caches);
      expect(actual).toEqual(expected);
      misses += expected.counts.reduce((sum, count) => sum + count, 0);
    }
    expect(misses).toBeGreaterThan(0);
  });
});

const v32: SwapInKernelProblem = {
  ...{ requests: 32, topK: 2048, bufferSize: 4096, pageSize: 64, rowBytes: 656, blockSize: 512 },
  ...{ lengthBytes: 4, rowNumberBytes: 4 },
};

describe('the kernel', () => {
  it('has the shared memory that the layout says', () => {
    for (const bufferSize of [2048, 4096, 6144, 8192]) {
      const { bytes } = swapInSharedLayout({ topK: 2048, bufferSize });
      expect(buildSwapIn({ ...v32, bufferSize }).sharedBytes).toBe(bytes);
    }
  });

  it('is not chosen where a CTA has less', () => {
    const large = { ...v32, bufferSize: 32_704 };
    expect(portableSwapIn.accepts(large, limitsFor('h200'))).toBe(true);
    expect(portableSwapIn.accepts(large, limitsFor('ada'))).toBe(false);
  });

  it('has keys without the number of requests', () => {
    expect(portableSwapIn.keyOf({ ...v32, requests: 7 })).toEqual(portableSwapIn.keyOf(v32));
  });
});

describe('swap-in as machine code', () => {
  const launch = (name: string, more: Partial<SwapInKernelProblem>) => ({
    name,
    launch: () => portableSwapIn.plan({ ...v32, ...more }).launches.main,
  });
  itAssembles([
    launch('v32', {}),
    launch('bf16, large, i64', {
      ...{ bufferSize: 8192, rowBytes: 1152, blockSize: 960, lengthBytes: 8, rowNumberBytes: 8 },
    }),
    launch('few threads', { blockSize: 32, topK: 1000 }),
  ]);
});
