import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flashMlaWithKvCache, getMlaMetadata } from '../../index.ts';
import { denseProblem } from '../../ops/attention/cpu/testing/dense-problem.ts';
import {
  errorBound,
  excessOf,
  intTensor,
  openCpu,
  randomSource,
  upload,
} from '../../ops/attention/cpu/testing/problems.ts';
import { denseDecode } from '../../ops/reference.ts';
import type { Device } from '../device/device.ts';

let device: Device;

beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.dispose());

describe('a captured decode call', () => {
  const shape = { lengths: [900, 900, 900], sQ: 2, hQ: 4, hK: 1, page: 32, causal: true };
  const problem = denseProblem(randomSource(1), shape);

  function inputs() {
    return {
      q: upload(device, problem.q) as never,
      kCache: upload(device, problem.kCache) as never,
      blockTable: upload(device, problem.blockTable),
      cacheSeqlens: upload(device, problem.cacheSeqlens),
      headDimV: 512,
      causal: true,
    };
  }

  it('does not run while it is captured, and follows lengths that change between replays', async () => {
    const call = inputs();
    const out = device.tensor(new Uint16Array(3 * 2 * 4 * 512).fill(7), [3, 2, 4, 512], 'bf16');
    const lse = device.empty([3, 4, 2], 'f32');
    const [schedMeta] = getMlaMetadata();
    const graph = device.capture(() => {
      flashMlaWithKvCache({ ...call, schedMeta, out, lse } as never);
    });
    await device.synchronize();
    expect((await out.read())[0]).toBe(7);
    for (const lengths of [
      [900, 1, 300],
      [0, 899, 64],
      [5, 5, 900],
    ]) {
      const cacheSeqlens = intTensor(lengths);
      call.cacheSeqlens.write(cacheSeqlens.data);
      graph.replay();
      const expected = denseDecode({ ...problem, cacheSeqlens });
      expect(await excessOf(lse, expected.lse)).toBeLessThan(2e-6);
      expect(await excessOf(out, expected.out)).toBeLessThan(errorBound(device));
    }
    graph.dispose();
  });

  it('is right even with metadata of other lengths', async () => {
    const call = inputs();
    const [schedMeta, numSplits] = getMlaMetadata(call.cacheSeqlens, 8, 1, 4);
    for (const lengths of [
      [900, 1, 300],
      [0, 899, 64],
      [33, 32, 900],
    ]) {
      const cacheSeqlens = intTensor(lengths);
      call.cacheSeqlens.write(cacheSeqlens.data);
      const { out, lse } = flashMlaWithKvCache({ ...call, schedMeta, numSplits } as never);
      const expected = denseDecode({ ...problem, cacheSeqlens });
      expect(await excessOf(lse, expected.lse)).toBeLessThan(2e-6);
      expect(await excessOf(out, expected.out)).toBeLessThan(errorBound(device));
    }
  });

  it('repeats what was written while it was captured', async () => {
    const tensor = device.tensor([1, 1, 1], [3], 'i32');
    const { allocated } = device.memoryStats();
    const graph = device.capture(() => tensor.write(Int32Array.of(4, 5, 6)));
    expect(device.memoryStats().allocated).toBe(allocated + 12);
    expect([...(await tensor.read())]).toEqual([1, 1, 1]);
    graph.replay();
    expect([...(await tensor.read())]).toEqual([4, 5, 6]);
    tensor.write(Int32Array.of(0, 0, 0));
    graph.replay();
    expect([...(await tensor.read())]).toEqual([4, 5, 6]);
    graph.dispose();
    expect(device.memoryStats().allocated).toBe(allocated);
  });
});
