import { InvalidArgumentError } from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { denseDecode } from '../../../ops/attention/operations.ts';
import { Device } from '../../device/device.ts';
import { openCuda } from '../open.ts';
import { checkKernel, fakeCheck } from '../testing/fake-check.ts';
import { FakeDriver } from '../testing/fake-driver.ts';
import { copyKernel, fakeDecode, fakeFamilies } from '../testing/fake-family.ts';

let driver: FakeDriver;
let device: Device;

beforeEach(async () => {
  driver = new FakeDriver();
  driver.kernels.set('fake_copy', copyKernel);
  driver.kernels.set('fake_check', checkKernel);
  const families = fakeFamilies([fakeDecode, fakeCheck]);
  const backend = await openCuda(driver, 0, { debug: true, exactMemory: false, families });
  device = new Device(backend, true, []);
});

const codes = Uint16Array.from({ length: 256 }, (_, i) => i + 1);

/** A decode of two requests, two blocks of 4 tokens each in the table, three blocks in the cache. */
function problem(sums: readonly number[], table = [0, 1, 2, 0], lengths = [8, 4]) {
  const q = device.tensor(codes, [2, 1, 1, 128], 'bf16');
  const kCache = device.empty([3, 4, 1, 128], 'bf16');
  const blockTable = device.tensor(table, [2, 2], 'i32');
  const seqlens = device.tensor(lengths, [2], 'i32');
  const out = device.tensor(new Uint16Array(256), [2, 1, 1, 128], 'bf16');
  const plan = { numParts: 1, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 };
  const numSplits = device.tensor(sums, [3], 'i32');
  const schedule = { metadata: seqlens, numSplits, plan };
  const rest = { headDimV: 128, softmaxScale: 1, causal: false, schedule, lse: out };
  const args = { q, kCache, blockTable, seqlens, out, ...rest };
  const run = () => device.backend.run(denseDecode, args);
  return { run, out, numSplits };
}

const runs = () => driver.calls.filter((call) => call.startsWith('fake_copy')).length;

describe('debug mode', () => {
  it('lets a good call through', async () => {
    const { run, out } = problem([0, 1, 2]);
    run();
    expect(await out.read()).toEqual(codes);
  });

  it('lets lengths and blocks through, whatever they are: they mean something', async () => {
    const { run, out } = problem([0, 1, 2], [7, -5, 2, 2 ** 31 - 1], [9, -1]);
    run();
    expect(await out.read()).toEqual(codes);
  });

  it('reports sums of splits that fall, and does not run the call', async () => {
    const { run, out } = problem([0, 2, 1]);
    run();
    const error = await device.synchronize().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: 'numSplits[2]' });
    expect((error as Error).message).toMatch(/expected 0 or more, and not below .*, got 1/);
    expect(runs()).toBe(0);
    expect(await out.read()).toEqual(new Uint16Array(256));
  });

  it('reports once and goes on', async () => {
    const bad = problem([-1, 1, 2]);
    const good = problem([0, 1, 2]);
    bad.run();
    good.run();
    await expect(device.synchronize()).rejects.toMatchObject({ argument: 'numSplits[0]' });
    await device.synchronize();
    expect(await good.out.read()).toEqual(codes);
  });

  it('checks inside a graph at each replay', async () => {
    const { run, numSplits } = problem([0, 1, 2]);
    const graph = device.capture(run);
    graph.replay();
    await device.synchronize();
    numSplits.write(new Int32Array([0, 1, -1]));
    graph.replay();
    await expect(device.synchronize()).rejects.toMatchObject({ argument: 'numSplits[2]' });
    numSplits.write(new Int32Array([0, 1, 2]));
    graph.replay();
    await device.synchronize();
  });

  it('checks calls on every stream, and graphs that outlive the stream they were recorded on', async () => {
    const side = device.createStream();
    const good = problem([0, 1, 2]);
    const bad = problem([0, 2, 1]);
    device.withStream(side, good.run);
    expect(await good.out.read({ stream: side })).toEqual(codes);
    device.withStream(side, bad.run);
    await expect(side.synchronize()).rejects.toMatchObject({ argument: 'numSplits[2]' });
    const later = problem([0, 1, 2]);
    const graph = device.capture(later.run, { stream: side });
    side.dispose();
    later.numSplits.write(Int32Array.of(0, 2, 1));
    graph.replay();
    await expect(device.synchronize()).rejects.toMatchObject({ argument: 'numSplits[2]' });
    await device.synchronize();
  });
});
