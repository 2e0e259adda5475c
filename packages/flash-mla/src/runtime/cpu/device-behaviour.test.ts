import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  DeviceLostError,
  DisposedError,
  InvalidArgumentError,
  OutOfMemoryError,
} from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import {
  denseProblem,
  expectedDense,
  runDense,
} from '../../ops/attention/cpu/testing/dense-problem.ts';
import {
  errorBound,
  excessOf,
  openCpu,
  randomSource,
  upload,
} from '../../ops/attention/cpu/testing/problems.ts';
import { flashAttnVarlenFunc } from '../../ops/attention/index.ts';
import { quantizeRows } from '../../ops/kv-cache/operations.ts';
import type { Device } from '../device/device.ts';
import { probe } from './index.ts';
import { open } from './testing/open.ts';

const long = denseProblem(randomSource(1), {
  lengths: [3000, 3000],
  sQ: 1,
  hQ: 128,
  hK: 1,
  page: 64,
});
const short = denseProblem(randomSource(2), { lengths: [90, 4], sQ: 1, hQ: 3, hK: 1, page: 64 });

/** Enqueues a call that takes some tenths of a second. */
function enqueueLong(device: Device, times = 6) {
  for (let i = 1; i < times; i++) runDense(device, long);
  return runDense(device, long);
}

describe('threads', () => {
  it('give the same bits, however many of them', async () => {
    const answers: unknown[] = [];
    for (const threads of [1, 2, 5]) {
      const device = await openCpu({ threads });
      expect(device.info.parallelism).toBe(threads);
      const problem = { ...short, shape: { ...short.shape, deterministic: true } };
      const { out, lse } = runDense(device, problem);
      answers.push([await out.read(), await lse.read()]);
      await device.dispose();
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });

  it.each([0, 65, 1.5, Number.NaN])('refuses %d of them', async (threads) => {
    await expect(open(0, { threads })).rejects.toThrow(InvalidArgumentError);
  });

  it('leave the event loop free while a kernel runs', async () => {
    // Making its tensors takes this thread as long as the kernel of WebAssembly takes the others; one of machine
    // code would be done before.
    const device = await openCpu({ native: false });
    await runDense(device, short).out.read();
    const started = performance.now();
    const { out } = enqueueLong(device, 12);
    let ticks = 0;
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      ticks++;
    }, 1);
    await out.read();
    const elapsed = performance.now() - started;
    clearInterval(timer);
    expect(elapsed).toBeGreaterThan(50);
    expect(ticks).toBeGreaterThan(10);
    expect(longest).toBeLessThan(elapsed / 2);
    await device.dispose();
  });
});

describe('a private memory', () => {
  it('gives what shared memory gives, with one thread', async () => {
    const device = await openCpu({ sharedMemory: false, threads: 2 });
    expect(device.info).toMatchObject({ parallelism: 1, details: { sharedMemory: false } });
    const { out, lse } = runDense(device, short);
    const expected = expectedDense(short);
    expect(await excessOf(out, expected.out)).toBeLessThan(errorBound(device));
    expect(await excessOf(lse, expected.lse)).toBeLessThan(2e-6);
    await device.dispose();
  });

  it('does not hold up the event loop and reports faults', async () => {
    const device = await openCpu({ sharedMemory: false, debug: true });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await enqueueLong(device, 2).out.read();
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
    const { out } = runDisordered(device);
    await expect(out.read()).rejects.toThrow('cuSeqlensQo[1]');
    await device.synchronize();
    await device.dispose();
  });

  it('rejects pending reads when it is closed', async () => {
    const device = await openCpu({ sharedMemory: false });
    const pending = enqueueLong(device, 3).out.read();
    await Promise.all([expect(pending).rejects.toThrow(DisposedError), device.dispose()]);
  });
});

describe('order', () => {
  it('lets a write wait for the work that reads what it overwrites, and a read for all before it', async () => {
    const device = await openCpu();
    await runDense(device, short).out.read();
    const source = device.tensor(new Uint8Array(100_000).fill(1), [100_000], 'u8');
    enqueueLong(device, 3);
    const before = source.read();
    source.write(new Uint8Array(100_000).fill(2));
    const between = source.read();
    source.write(new Uint8Array(100_000).fill(3));
    const bytes = await Promise.all([before, between, source.read()]);
    expect(bytes.map((b) => [b[0], b[99_999]])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    await device.dispose();
  });

  it('takes more commands than the ring holds', async () => {
    const device = await openCpu();
    const results = Array.from({ length: 200 }, () => runDense(device, short));
    const expected = expectedDense(short);
    for (const { out } of [results[0], results[99], results[199]] as typeof results) {
      expect(await excessOf(out, expected.out)).toBeLessThan(errorBound(device));
    }
    await device.dispose();
  });
});

/** Packed sequences whose offsets do not rise: several requests may own a row, which debug mode reports. */
function runDisordered(device: Device) {
  const rows = () => device.tensor(new Uint16Array(4 * 16 * 64), [4, 16, 64], 'bf16');
  const offsets = (...entries: number[]) => device.tensor(Int32Array.from(entries), [3], 'i32');
  return flashAttnVarlenFunc({
    q: rows(),
    k: rows(),
    v: rows(),
    cuSeqlensQo: offsets(0, -7, 4),
    cuSeqlensKv: offsets(0, 2, 4),
    maxSeqlenQo: 4,
    maxSeqlenKv: 4,
  });
}

describe('faults on the device', () => {
  it('reject a read that waits, once, and name the first bad entry', async () => {
    const device = await openCpu({ debug: true });
    const error = await runDisordered(device)
      .out.read()
      .catch((thrown) => thrown);
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error.argument).toBe('cuSeqlensQo[1]');
    expect(error.message).toContain('-7');
    const good = runDense(device, short);
    expect(await excessOf(good.out, expectedDense(short).out)).toBeLessThan(errorBound(device));
    await device.dispose();
  });

  it('do not include lengths out of range, which are clamped, in debug mode either', async () => {
    const beyond = {
      ...short,
      cacheSeqlens: { ...short.cacheSeqlens, data: Int32Array.of(500, -3) },
    };
    const table = { ...short.blockTable, data: Int32Array.of(0, 1, 2, 2) };
    const problem = { ...beyond, blockTable: table };
    const kCache = {
      ...short.kCache,
      data: new Uint16Array(short.kCache.data.length).fill(0x3f80),
    };
    const [device, debug] = await Promise.all([openCpu(), openCpu({ debug: true })]);
    for (const opened of [device, debug]) {
      const values = await runDense(opened, { ...problem, kCache }).lse.read();
      const seen = [...values].map((value, i) =>
        i < 3 ? Number.isFinite(value) : value === Infinity,
      );
      expect(seen).toEqual(seen.map(() => true));
    }
    await Promise.all([device.dispose(), debug.dispose()]);
  });
});

describe('memory', () => {
  it('is counted, and work takes at most 64 MB beside its tensors', async () => {
    const device = await openCpu();
    const start = device.memoryStats();
    expect(start.allocated).toBe(0);
    const { out, lse } = runDense(device, long);
    await out.read();
    const during = device.memoryStats();
    const tensors = long.q.data.byteLength + long.kCache.data.byteLength;
    expect(during.allocated).toBeGreaterThan(tensors);
    expect(during.peak).toBeGreaterThanOrEqual(during.allocated);
    expect(during.reserved - during.allocated).toBeLessThan(64e6);
    out.dispose();
    lse.dispose();
    expect(device.memoryStats().allocated).toBeLessThan(during.allocated);
    await device.dispose();
  });

  it('ends in a typed error that leaves the device usable', async () => {
    const device = await openCpu();
    expect(() => device.empty([2 ** 33], 'u8')).toThrow(OutOfMemoryError);
    const tensor = upload(device, short.q);
    expect(await tensor.read()).toEqual(short.q.data);
    await device.dispose();
  });

  it('comes back from disposed tensors', async () => {
    const device = await openCpu();
    const loop = async () => {
      for (let i = 0; i < 20; i++) {
        const { out, lse } = runDense(device, short);
        out.dispose();
        lse.dispose();
      }
      await device.synchronize();
    };
    const big = () => device.empty([50_000_000], 'u8').dispose();
    await loop();
    big();
    const { reserved } = device.memoryStats();
    for (let i = 0; i < 50; i++) big();
    await loop();
    expect(device.memoryStats().reserved - reserved).toBeLessThan(10e6);
    await device.dispose();
  });
});

describe('closing', () => {
  it('rejects what is pending and whatever comes later', async () => {
    const backend = await open(0, { threads: 2 });
    const { Device } = await import('../device/device.ts');
    const device = new Device(backend, false, []);
    const { out } = enqueueLong(device, 12);
    const pending = [out.read(), device.synchronize()];
    const outcome = Promise.allSettled(pending);
    await backend.close();
    await backend.close();
    for (const result of await outcome) {
      expect(result.status).toBe('rejected');
      expect((result as PromiseRejectedResult).reason).toBeInstanceOf(DisposedError);
      expect(result).toMatchObject({
        reason: { message: expect.stringContaining('before this was done') },
      });
    }
    await expect(out.read()).rejects.toThrow(DisposedError);
    expect(() => runDense(device, short)).toThrow(DisposedError);
  });
});

describe('a worker that dies', () => {
  it.each([true, false])(
    'loses the device, with a typed error (shared: %s)',
    async (sharedMemory) => {
      // Machine code has no bounds of its own: there the process would die of what only this test can do.
      const backend = await open(0, { threads: 2, sharedMemory, native: false });
      const buffer = backend.allocate(64);
      // No caller of the API can get here: the view lies outside of the memory.
      const view = { buffer, byteOffset: 2 ** 31, dtype: 'bf16', shape: [9, 9, 1, 576] } as const;
      const strides = [9 * 656, 656, 656, 1];
      backend.run(quantizeRows, {
        layout: 'v32',
        source: { ...view, strides },
        target: { ...view, dtype: 'u8', shape: [9, 9, 1, 656], strides },
      });
      await expect(backend.read(buffer, 0, 64)).rejects.toThrow(DeviceLostError);
      await expect(backend.synchronize()).rejects.toThrow(DeviceLostError);
      expect(() => backend.write(buffer, 0, new Uint8Array(8))).toThrow(DeviceLostError);
      await backend.close();
    },
  );
});

const closeWithWork = fileURLToPath(new URL('testing/close-with-work.mjs', import.meta.url));

/** Runs a program against the built package; returns how long it lived and what it printed. */
function runProgram(body: string) {
  const dist = (path: string) => new URL(`../../../dist/${path}.js`, import.meta.url).href;
  const imports = [
    `import { open as openCpu } from '${dist('runtime/cpu/index')}';`,
    `import { quantizeRows } from '${dist('ops/kv-cache/operations')}';`,
    `import { flashMlaKernels } from '${dist('ops/kernel-libraries')}';`,
    'const open = (index, options) => openCpu(index, { kernels: [flashMlaKernels], ...options });',
  ].join('\n');
  const source = `${imports}\n${body}`;
  const started = performance.now();
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    timeout: 30_000,
    encoding: 'utf8',
  });
  return { ...result, seconds: (performance.now() - started) / 1e3 };
}

describe('the process', () => {
  it.each([true, false])(
    'ends by itself with an open, idle device (shared: %s)',
    (sharedMemory) => {
      const { status, stdout, stderr } = runProgram(
        `const d = await open(0, { sharedMemory: ${sharedMemory} });
       const b = d.allocate(8); d.write(b, 0, new Uint8Array(8).fill(7));
       console.log((await d.read(b, 0, 8))[7]);`,
      );
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '7\n', stderr: '' });
    },
  );

  // A late reply used to make the group let go of threads that were being terminated. The process then
  // ended with code 13: always with 8 threads, in two runs of three with 2.
  it.each([
    [2, 15],
    [8, 5],
  ])('outlives devices of %d threads that close with unfinished work', (threads, devices) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [closeWithWork, '../../../../dist/index.js', `${devices}`, `${threads}`],
      { timeout: 60_000, encoding: 'utf8' },
    );
    const expected = { status: 0, stdout: `closed ${devices}\n`, stderr: '' };
    expect({ status, stdout, stderr }).toEqual(expected);
  });

  it('opens a device again after it was short of file descriptors', () => {
    const url = new URL('../../../dist/index.js', import.meta.url).href;
    const program = `import { openDevice } from '${url}';
      import { closeSync, openSync } from 'node:fs';
      await (await openDevice('cpu')).dispose(); // Loads the modules: Node 20 tries each only once.
      const held = [];
      try { for (;;) held.push(openSync('/dev/null', 'r')); } catch {}
      const error = await openDevice('cpu').catch((thrown) => thrown);
      for (const file of held) closeSync(file);
      const device = await openDevice('cpu');
      console.log(error.name, /ulimit -n/.test(error.remedy), device.id);
      await device.dispose();`;
    const shell = 'ulimit -n 200 && exec "$0" --input-type=module -e "$1"';
    const { status, stdout } = spawnSync('sh', ['-c', shell, process.execPath, program], {
      timeout: 30_000,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'BackendUnavailableError true cpu\n' });
  });

  it('waits for pending work that somebody reads', () => {
    const { status, stdout } = runProgram(
      `const d = await open(0, {});
       const a = d.allocate(2e8), b = d.allocate(2e8);
       d.write(a, 2e8 - 1, Uint8Array.of(9));
       const view = (buffer, shape) => ({ buffer, byteOffset: 0, dtype: 'bf16', shape, strides: [1, 1, 1, 1] });
       d.run(quantizeRows, { layout: 'v32',
         source: { ...view(a, [1000, 64, 1, 576]), strides: [64 * 576, 576, 576, 1] },
         target: { ...view(b, [1000, 64, 1, 656]), dtype: 'u8', strides: [64 * 656, 656, 656, 1] } });
       d.read(b, 0, 1).then(() => console.log('done'));`,
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'done\n' });
  });
});

describe('probe', () => {
  it('lists one device and its threads', async () => {
    const [device, ...others] = await probe();
    expect(others).toEqual([]);
    expect(device?.details).toMatchObject({ sharedMemory: true, relaxedSimd: true });
  });

  it('knows no second device', async () => {
    await expect(open(1, {})).rejects.toThrow(InvalidArgumentError);
  });
});
