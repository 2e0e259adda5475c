import { beforeEach, describe, expect, it } from 'vitest';
import { denseDecode } from '../../attention/operations.ts';
import { Device } from '../../device.ts';
import { InvalidArgumentError } from '../../errors.ts';
import { openCuda } from './open.ts';
import { checkKernel, fakeCheck } from './testing/fake-check.ts';
import { FakeDriver } from './testing/fake-driver.ts';
import { copyKernel, fakeDecode, fakeFamilies } from './testing/fake-family.ts';

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
function problem(table: readonly number[], lengths: readonly number[]) {
  const q = device.tensor(codes, [2, 1, 1, 128], 'bf16');
  const kCache = device.empty([3, 4, 1, 128], 'bf16');
  const blockTable = device.tensor(table, [2, 2], 'i32');
  const seqlens = device.tensor(lengths, [2], 'i32');
  const out = device.tensor(new Uint16Array(256), [2, 1, 1, 128], 'bf16');
  const plan = { numParts: 1, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 };
  const schedule = { metadata: seqlens, numSplits: seqlens, plan };
  const rest = { headDimV: 128, softmaxScale: 1, causal: false, schedule, lse: out };
  const args = { q, kCache, blockTable, seqlens, out, ...rest };
  const run = () => device.backend.run(denseDecode, args);
  return { run, out, seqlens, blockTable };
}

const runs = () => driver.calls.filter((call) => call.startsWith('fake_copy')).length;

describe('debug mode', () => {
  it('lets a good call through', async () => {
    const { run, out } = problem([0, 1, 2, 0], [8, 4]);
    run();
    expect(await out.read()).toEqual(codes);
  });

  it('reports the first block outside the cache, and does not run the call', async () => {
    const { run, out } = problem([0, 1, 2, -5], [8, 5]);
    run();
    const error = await device.synchronize().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: 'blockTable[1, 1]' });
    expect((error as Error).message).toMatch(/expected 0 to 2, got -5/);
    expect(runs()).toBe(0);
    expect(await out.read()).toEqual(new Uint16Array(256));
  });

  it('does not look at blocks that no token reaches', async () => {
    const { run, out } = problem([0, 999, 2, -5], [4, 3]);
    run();
    expect(await out.read()).toEqual(codes);
  });

  it('reports a length that the table cannot hold', async () => {
    const { run, out } = problem([0, 1, 2, 0], [4, 9]);
    run();
    await expect(out.read()).rejects.toMatchObject({ argument: 'cacheSeqlens[1]' });
  });

  it('reports once and goes on', async () => {
    const bad = problem([7, 1, 2, 0], [8, 4]);
    const good = problem([0, 1, 2, 0], [8, 4]);
    bad.run();
    good.run();
    await expect(device.synchronize()).rejects.toMatchObject({ argument: 'blockTable[0, 0]' });
    await device.synchronize();
    expect(await good.out.read()).toEqual(codes);
  });

  it('checks inside a graph at each replay', async () => {
    const { run, seqlens } = problem([0, 1, 2, 0], [8, 4]);
    const graph = device.capture(run);
    graph.replay();
    await device.synchronize();
    seqlens.write(new Int32Array([8, -1]));
    graph.replay();
    await expect(device.synchronize()).rejects.toMatchObject({ argument: 'cacheSeqlens[1]' });
    seqlens.write(new Int32Array([8, 8]));
    graph.replay();
    await device.synchronize();
  });
});
