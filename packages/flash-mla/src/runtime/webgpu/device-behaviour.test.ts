import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  BackendUnavailableError,
  type Device,
  DisposedError,
  flashMlaWithKvCache,
  getMlaMetadata,
  InvalidArgumentError,
  KernelCompileError,
  listDevices,
  OutOfMemoryError,
  openDevice,
  type Tensor,
} from '../../index.ts';
import { requestAdapter } from './gpu.ts';
import { open, probe } from './index.ts';
import { Pipelines } from './runtime/pipelines.ts';
import { openAdjusted } from './testing/open.ts';
import { useSwiftShader } from './testing/swiftshader.ts';
import { kernel } from './wgsl/kernel.ts';
import { Params } from './wgsl/params.ts';

const absent = useSwiftShader();
const why = absent ? `, skipped: ${absent}` : '';
const one = 0x3f80;

/** A decode of one request over `tokens` rows of ones: the output is 1 and lse ln(tokens) + 576 / 24. */
function ones(device: Device, tokens: number, headDimV = 512) {
  const fill = (count: number) => new Uint16Array(count).fill(one);
  const [schedMeta] = getMlaMetadata();
  const result = flashMlaWithKvCache({
    q: device.tensor(fill(576), [1, 1, 1, 576], 'bf16'),
    kCache: device.tensor(fill(tokens * 576), [1, tokens, 1, 576], 'bf16'),
    blockTable: device.tensor([0], [1, 1], 'i32'),
    cacheSeqlens: device.tensor([tokens], [1], 'i32'),
    headDimV,
    schedMeta,
  });
  return { ...result, expectedLse: Math.log(tokens) + 24 };
}

describe.skipIf(absent)(`a WebGPU device${why}`, () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('webgpu');
  });
  afterAll(() => device.dispose());

  it('is found and described', async () => {
    const [found] = await probe();
    expect(found?.name).toMatch(/SwiftShader/);
    expect(found?.details).toMatchObject({
      software: true,
      'subgroup sizes': '4 to 4',
      'features used': 'subgroups, timestamp-query',
      tuning: 'software: what compiles fast',
    });
    expect(device.info).toMatchObject({ backend: 'webgpu', id: 'webgpu', name: found?.name });
    expect(device.info.details).toMatchObject({
      profile: 'adapter',
      'lane exchange': 'quad operations',
      tuning: 'software: what compiles fast',
    });
  });

  it("is passed over by 'auto' where it is software, with the reason", async () => {
    const automatic = await openDevice('auto');
    expect(automatic.id).toBe('cpu');
    const reasons = automatic.skipped.map((error) => error.message).join('\n');
    expect(reasons).toMatch(/'webgpu' is unavailable: its only adapter, SwiftShader.*is software/);
    await automatic.dispose();
    await expect(open(1, { kernels: [] }, false)).rejects.toThrow(BackendUnavailableError);
  });

  it('returns at once although kernels compile, and keeps the order of calls', async () => {
    const { device: fresh } = await openAdjusted((capabilities) => capabilities);
    const started = performance.now();
    const { out, lse, expectedLse } = ones(fresh, 70);
    const source = fresh.tensor([1, 2, 3], [3], 'f32');
    const before = source.read();
    source.write(Float32Array.of(4, 5, 6));
    const after = source.read();
    out.write(new Uint16Array(512));
    const overwritten = out.read();
    const enqueued = performance.now() - started;
    expect([...(await before)]).toEqual([1, 2, 3]);
    expect([...(await after)]).toEqual([4, 5, 6]);
    expect(new Set(await overwritten)).toEqual(new Set([0]));
    expect((await lse.read())[0]).toBeCloseTo(expectedLse, 4);
    // Whatever else the machine does: compiling takes far longer than all the calls.
    expect(enqueued).toBeLessThan((performance.now() - started) / 2);
    await fresh.dispose();
  });

  it('takes bytes as they are when it is called', async () => {
    const bytes = new Float32Array(1000).fill(1);
    const tensor = device.tensor(bytes, [1000], 'f32');
    ones(device, 3);
    tensor.write(bytes);
    bytes.fill(2);
    expect(new Set(await tensor.read())).toEqual(new Set([1]));
  });

  it.each([
    [0, 1],
    [1, 2],
    [3, 6],
    [4, 3],
    [7, 9],
    [2, 11],
  ])('writes bytes from %i on, %i of them, and no others', async (offset, count) => {
    const tensor = device.tensor(new Uint8Array(16).fill(9), [16], 'u8');
    const values = Uint8Array.from({ length: count }, (_, i) => i + 100);
    tensor.slice(0, offset, offset + count).write(values);
    const expected = new Uint8Array(16).fill(9);
    expected.set(values, offset);
    expect([...(await tensor.read())]).toEqual([...expected]);
    expect([...(await tensor.slice(0, offset, offset + count).read())]).toEqual([...values]);
  });

  it('writes outputs that begin inside an allocation', async () => {
    const place = device.tensor(new Uint16Array(529).fill(7), [529], 'bf16');
    const [schedMeta] = getMlaMetadata();
    const q = device.tensor(new Uint16Array(576).fill(one), [1, 1, 1, 576], 'bf16');
    const kCache = device.tensor(new Uint16Array(576).fill(one), [1, 1, 1, 576], 'bf16');
    flashMlaWithKvCache({
      q,
      kCache,
      blockTable: device.tensor([0], [1, 1], 'i32'),
      cacheSeqlens: device.tensor([1], [1], 'i32'),
      headDimV: 512,
      schedMeta,
      out: place.asStrided([1, 1, 1, 512], [512, 512, 512, 1], 8),
    });
    const codes = await place.read();
    expect([codes[7], codes[520], codes[528]]).toEqual([7, 7, 7]);
    expect(new Set(codes.subarray(8, 520))).toEqual(new Set([one]));
  });

  it('skips blocks that are not in the cache, in debug mode too', async () => {
    const debug = await openDevice('webgpu', { debug: true });
    for (const on of [device, debug]) {
      const fill = (count: number) => new Uint16Array(count).fill(one);
      const [schedMeta] = getMlaMetadata();
      const { lse } = flashMlaWithKvCache({
        q: on.tensor(fill(2 * 576), [2, 1, 1, 576], 'bf16'),
        kCache: on.tensor(fill(8 * 576), [2, 4, 1, 576], 'bf16'),
        blockTable: on.tensor([0, 1, 1, 99], [2, 2], 'i32'),
        cacheSeqlens: on.tensor([3, 8], [2], 'i32'),
        headDimV: 512,
        schedMeta,
      });
      expect((await lse.read())[1]).toBeCloseTo(Math.log(4) + 24, 4);
    }
    await debug.dispose();
  });

  it('tells device time without the time to compile', async () => {
    const { device: fresh } = await openAdjusted((capabilities) => capabilities);
    const { deviceTime } = fresh.backend.measurements ?? {};
    let lse: Tensor<'f32'> | undefined;
    const seconds = await deviceTime?.(() => {
      lse = ones(fresh, 5).lse;
    });
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(0.2);
    expect((await lse?.read())?.[0]).toBeCloseTo(Math.log(5) + 24, 4);
    expect(await deviceTime?.(() => undefined)).toBe(0);
    await fresh.dispose();
  });

  it('reuses memory that was given back, and counts it', async () => {
    const { device: fresh } = await openAdjusted((capabilities) => capabilities);
    const before = fresh.memoryStats().reserved;
    for (let i = 0; i < 20; i++) {
      const tensor = fresh.tensor(new Uint8Array(100_000).fill(i), [100_000], 'u8');
      const bytes = tensor.read();
      tensor.dispose();
      expect((await bytes)[99_999]).toBe(i);
    }
    const { allocated, reserved, peak } = fresh.memoryStats();
    expect(allocated).toBe(0);
    expect(peak).toBe(100_000);
    expect(reserved - before).toBeLessThan(2 * 112_500);
    await fresh.dispose();
  });

  it('replays a graph, which keeps its own scratch memory', async () => {
    const lengths = device.tensor([2], [1], 'i32');
    const fill = (count: number) => new Uint16Array(count).fill(one);
    const q = device.tensor(fill(576), [1, 1, 1, 576], 'bf16');
    const kCache = device.tensor(fill(64 * 576), [1, 64, 1, 576], 'bf16');
    const blockTable = device.tensor([0], [1, 1], 'i32');
    const out = device.empty([1, 1, 1, 512], 'bf16');
    const lse = device.tensor([-1], [1, 1, 1], 'f32');
    const [schedMeta] = getMlaMetadata();
    const graph = device.capture(() => {
      flashMlaWithKvCache({
        ...{ q, kCache, blockTable, cacheSeqlens: lengths, headDimV: 512, schedMeta, out, lse },
      });
    });
    expect((await lse.read())[0]).toBe(-1);
    for (const tokens of [2, 50]) {
      lengths.write(Int32Array.of(tokens));
      ones(device, 9);
      graph.replay();
      expect((await lse.read())[0]).toBeCloseTo(Math.log(tokens) + 24, 4);
    }
    graph.dispose();
    graph.dispose();
    expect(() => graph.replay()).toThrow(/after dispose/);
  });
});

it('a profile that the environment misspells is refused, and listed as what it is', async () => {
  vi.stubEnv('FLASH_MLA_WEBGPU_PROFILE', 'garbage');
  try {
    await expect(openDevice('webgpu')).rejects.toThrow(InvalidArgumentError);
    const [listed] = await listDevices(['webgpu']);
    expect(listed).toMatchObject({ available: false });
    const { error } = listed as { error?: Error };
    expect(error?.message).toContain("FLASH_MLA_WEBGPU_PROFILE: expected 'adapter' or 'default'");
    expect(error?.message).not.toContain('report');
  } finally {
    vi.unstubAllEnvs();
  }
});

describe.skipIf(absent)(`what goes wrong on a WebGPU device${why}`, () => {
  it('rejects reads that are pending when it is closed, and opens again', async () => {
    for (const when of ['while kernels compile', 'while work runs']) {
      const device = await openDevice('webgpu');
      const { out } = ones(device, 70);
      if (when === 'while work runs') {
        await out.read();
        ones(device, 20_000);
      }
      const pending = out.read();
      const synchronised = device.synchronize();
      await Promise.all([
        expect(pending).rejects.toThrow(DisposedError),
        expect(synchronised).rejects.toThrow(/disposed of before this was done/),
        device.dispose(),
      ]);
      await expect(out.read()).rejects.toThrow(/closed|dispose/);
    }
    const again = await openDevice('webgpu');
    expect((await ones(again, 70).lse.read())[0]).toBeCloseTo(Math.log(70) + 24, 4);
    await again.dispose();
  });

  it('tells that memory ran out to whoever waits next, and goes on', async () => {
    const device = await openDevice('webgpu');
    const most = Number(device.info.details['largest buffer (MiB)']) * 2 ** 20;
    const tensors: Tensor[] = [];
    let error: unknown;
    while (tensors.length < 64 && error === undefined) {
      tensors.push(device.empty([most - 512], 'u8'));
      error = await device.synchronize().catch((reason: unknown) => reason);
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    for (const tensor of tensors) tensor.dispose();
    expect((await device.tensor([1, 2], [2], 'f32').read())[1]).toBe(2);
    await device.synchronize();
    await device.dispose();
  });

  it('refuses at once more memory than any device has, and makes no buffer for it', async () => {
    const device = await openDevice('webgpu');
    const before = device.memoryStats();
    const begin = performance.now();
    for (const elements of [2 ** 39, 2 ** 49]) {
      expect(() => device.empty([elements], 'bf16')).toThrow(OutOfMemoryError);
      expect(() => device.empty([elements], 'bf16')).toThrow(/512 GiB at most/);
    }
    expect(performance.now() - begin).toBeLessThan(1000);
    expect(device.memoryStats()).toEqual(before);
    await device.dispose();
  });

  it('takes data from memory that threads share', () => {
    // In a process of its own: Dawn used to end it.
    const url = new URL('../../../dist/index.js', import.meta.url).href;
    const program = `import { openDevice } from '${url}';
      import { runInNewContext } from 'node:vm';
      const device = await openDevice('webgpu');
      const foreign = runInNewContext('new Float32Array(new SharedArrayBuffer(16)).fill(2)');
      for (const data of [new Float32Array(new SharedArrayBuffer(16)).fill(1), foreign]) {
        const tensor = device.tensor(data, [4], 'f32');
        console.log((await tensor.read()).join());
        tensor.write(data.fill(3));
        console.log((await tensor.read()).join());
      }
      await device.dispose();`;
    const { status, signal, stdout } = spawnSync(
      process.execPath,
      ['--input-type=module', '-e', program],
      { timeout: 60_000, encoding: 'utf8' },
    );
    const expected = '1,1,1,1\n3,3,3,3\n2,2,2,2\n3,3,3,3\n';
    expect({ status, signal, stdout }).toEqual({ status: 0, signal: null, stdout: expected });
  });

  it('shows the line of a kernel that does not compile', async () => {
    const gpu = await (await requestAdapter()).requestDevice();
    const broken = kernel(
      'broken',
      new Params({ count: 'u32' }),
      [{ name: 'values', access: 'read_write', element: 'f32' }],
      '@compute @workgroup_size(1)\nfn main() {\nvalues[params.count] = 1u;\n}',
    );
    const error: unknown = await new Pipelines(gpu)
      .get('broken', () => broken)
      .ready.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KernelCompileError);
    expect((error as KernelCompileError).kernel).toBe('broken');
    expect((error as KernelCompileError).log).toMatch(
      /^line 8:\d+: .*u32.*\n {2}values\[params.count\] = 1u;$/,
    );
    gpu.destroy();
  });

  it('passes a command that the device refuses on to whoever waits, once', async () => {
    const { device, backend } = await openAdjusted((capabilities) => ({
      ...capabilities,
      workgroupsPerDimension: 2 ** 20,
    }));
    const q = device.empty([70_000, 1, 512], 'bf16');
    const { flashMlaSparseFwd } = await import('../../index.ts');
    const { lse } = flashMlaSparseFwd({
      q,
      kv: device.empty([1, 1, 512], 'bf16'),
      indices: device.tensor(new Int32Array(70_000).fill(-1), [70_000, 1, 1], 'i32'),
      smScale: 1,
    });
    await expect(lse.read()).rejects.toThrow(/device 'webgpu'.*70000/s);
    await backend.synchronize();
    await device.dispose();
  });
});
