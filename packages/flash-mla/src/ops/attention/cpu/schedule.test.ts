import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDevice } from '../../../open-device.ts';
import type { Device } from '../../../runtime/device/device.ts';
import { computeSchedule } from '../operations.ts';
import { metadataWidth } from '../schedule/metadata.ts';
import { blocksOfLengths, blocksOfTopk, computeTileSchedule } from '../schedule/tile-scheduler.ts';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu', { threads: 2 });
});
afterAll(() => device.dispose());

const plans = fc.record({
  numParts: fc.integer({ min: 1, max: 40 }),
  blockTokens: fc.constantFrom(16, 64),
  overheadBlocks: fc.integer({ min: 0, max: 5 }),
  splitBlocks: fc.constantFrom(0, 0, 1, 3, 16),
});
const lengths = fc.array(fc.oneof(fc.integer({ min: -3, max: 300 }), fc.constant(70_000)), {
  minLength: 1,
  maxLength: 12,
});

type Plan = Parameters<typeof computeTileSchedule>[1];

/** Runs the operation on the device; what the tensors held before must not matter. */
async function onDevice(
  plan: Plan,
  batch: number,
  problem: object,
  lists: Readonly<Record<string, readonly number[] | undefined>>,
) {
  const metadata = device.tensor(
    new Int32Array(plan.numParts * metadataWidth).fill(77),
    [plan.numParts, metadataWidth],
    'i32',
  );
  const numSplits = device.tensor(new Int32Array(batch + 1).fill(77), [batch + 1], 'i32');
  const given = Object.entries(lists).flatMap(([name, list]) =>
    list === undefined ? [] : [[name, device.tensor(list, [batch], 'i32')] as const],
  );
  device.run(computeSchedule, {
    problem: { batch, ...problem } as never,
    plan,
    metadata,
    numSplits,
    ...Object.fromEntries(given),
  });
  const result = { metadata: await metadata.read(), numSplits: await numSplits.read() };
  for (const tensor of [metadata, numSplits, ...given.map(([, tensor]) => tensor)]) {
    tensor.dispose();
  }
  return result;
}

it('cuts the lengths of a dense batch as the definition does', () =>
  fc.assert(
    fc.asyncProperty(plans, lengths, async (plan, seqlens) => {
      const most = 1000;
      const clamped = seqlens.map((n) => Math.min(n, most));
      const expected = computeTileSchedule(blocksOfLengths(clamped, plan.blockTokens), plan);
      const problem = { kind: 'dense', maxSeqLenK: most };
      expect(await onDevice(plan, seqlens.length, problem, { seqlens })).toEqual(expected);
    }),
    { numRuns: 200 },
  ));

it('cuts the lists of a sparse batch as the definition does', () =>
  fc.assert(
    fc.asyncProperty(
      plans,
      lengths,
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 0, max: 200 }),
      async (plan, list, hasMain, hasExtra, extraTopk) => {
        const batch = list.length;
        const topkLength = hasMain ? list : undefined;
        const extraTopkLength = hasExtra ? list.toReversed() : undefined;
        const extent = { batch, topk: 257, topkLength, extraTopk, extraTopkLength };
        const expected = computeTileSchedule(blocksOfTopk(extent, plan.blockTokens), plan);
        const problem = { kind: 'sparse', topk: 257, extraTopk };
        const found = await onDevice(plan, batch, problem, { topkLength, extraTopkLength });
        expect(found).toEqual(expected);
      },
    ),
    { numRuns: 200 },
  ));
