// Self-check of the backend on a driver: transfers, waiting, memory, operations.
import { strict as assert } from 'node:assert';
import { flashMla } from './app.mjs';
import { prepare, sourceOf } from './kernel.mjs';
import { spin } from './kernels.mjs';

/** Opens a device of the public API on a driver. */
export async function openDevice(driver, debug = false) {
  const { openCuda } = await flashMla('runtime/cuda/open.js');
  const { flashMlaKernels } = await flashMla('ops/kernel-libraries.js');
  const { Device } = await flashMla('runtime/device/device.js');
  const exactMemory = driver.kind === 'sim';
  return new Device(
    await openCuda(driver, 0, { debug, exactMemory, families: flashMlaKernels.cuda }),
    debug,
    [],
  );
}

function withDevice(step) {
  return async (env) => {
    const device = await openDevice(env.driver);
    try {
      return await step(device, env);
    } finally {
      await device.dispose();
    }
  };
}

/** A stream of its own with a kernel that runs for a while. */
async function prepareSpin({ driver, facts }, cycles) {
  const context = driver.openContext(0);
  const source = await sourceOf(spin, `sm_${facts.sm}`);
  const stream = context.createStream();
  const run = prepare(context, source, context.loadKernel(source), stream, [1, 1, 1], { cycles });
  return { run, context, stream };
}

const transfers = withDevice(async (device, { simulated }) => {
  const size = simulated ? 2 ** 20 : 3 * 2 ** 26 + 12;
  const data = new Uint8Array(size).map((_, i) => i ^ (i >> 8) ^ (i >> 16));
  let began = performance.now();
  const tensor = device.tensor(data, [size], 'u8');
  await device.synchronize();
  const write = performance.now() - began;
  began = performance.now();
  const read = await tensor.read();
  const readMs = performance.now() - began;
  assert.equal(Buffer.compare(read, data), 0);
  const small = device.tensor([1, 2, 3, 4], [4], 'f32');
  await small.read();
  const times = [];
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    await small.read();
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  return {
    'write GB/s': (size / write / 1e6).toFixed(2),
    'read GB/s': (size / readMs / 1e6).toFixed(2),
    'read of 16 bytes µs': times[100].toFixed(0),
  };
});

const waiting = async (env) => {
  const { context, stream, run } = await prepareSpin(env, env.simulated ? 1e5 : 4e8);
  const { Timeline } = await flashMla('runtime/cuda/stream/timeline.js');
  const timeline = new Timeline(context, stream);
  run.run();
  let ticks = 0;
  let longest = 0;
  let last = performance.now();
  const ticker = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    ticks++;
  }, 1);
  const began = performance.now();
  await timeline.wait(timeline.mark());
  clearInterval(ticker);
  const ms = performance.now() - began;
  if (!env.simulated) assert.ok(longest < 20, `the event loop stood still for ${longest} ms`);
  context.close();
  return { 'waited ms': ms.toFixed(0), ticks, 'longest pause ms': longest.toFixed(1) };
};

const memory = withDevice(async (device) => {
  const { OutOfMemoryError } = await flashMla('errors.js');
  const total = device.info.memoryBytes;
  const tensor = device.tensor([1, 2], [2], 'f32');
  assert.throws(() => device.empty([2 * total], 'u8'), OutOfMemoryError);
  const half = Math.floor(total * 0.45);
  device.empty([half], 'u8').dispose();
  device.empty([Math.floor(half * 1.9)], 'u8').dispose();
  assert.deepEqual([...(await tensor.read())], [1, 2]);
  const { reserved, peak } = device.memoryStats();
  return { reserved, peak };
});

/** A small decode problem on the public API. */
export async function decodeProblem(device, { b = 4, hQ = 16, sK = 256 } = {}) {
  const blocks = (b * sK) / 64;
  const noise = (count) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898) * 0.5);
  const q = device.tensor(noise(b * hQ * 576), [b, 1, hQ, 576], 'bf16');
  const kCache = device.tensor(noise(blocks * 64 * 576), [blocks, 64, 1, 576], 'bf16');
  const table = Int32Array.from({ length: blocks }, (_, i) => i);
  const blockTable = device.tensor(table, [b, sK / 64], 'i32');
  const cacheSeqlens = device.tensor(new Int32Array(b).fill(sK), [b], 'i32');
  return { q, kCache, blockTable, cacheSeqlens, headDimV: 512, causal: true };
}

const decode = withDevice(async (device, { simulated }) => {
  const { flashMlaWithKvCache, getMlaMetadata } = await flashMla('index.js');
  const problem = await decodeProblem(device, simulated ? { b: 1, sK: 64 } : {});
  const [schedMeta] = getMlaMetadata();
  const { q, kCache, blockTable, cacheSeqlens } = problem;
  const call = () =>
    flashMlaWithKvCache({
      q,
      kCache,
      blockTable,
      cacheSeqlens,
      headDimV: 512,
      causal: true,
      schedMeta,
    });
  const began = performance.now();
  const first = call();
  const out = await first.out.readFloat32();
  const firstMs = performance.now() - began;
  assert.ok(out.every(Number.isFinite) && out.some((x) => x !== 0));

  // As many calls again come first, for the JavaScript compiler; host-cost.mjs looks closer.
  const runs = simulated ? 1 : 3000;
  const times = [];
  for (let i = -runs; i < runs; i++) {
    const start = process.hrtime.bigint();
    const result = call();
    if (i >= 0) times.push(Number(process.hrtime.bigint() - start) / 1000);
    result.out.dispose();
    result.lse.dispose();
    if (i % 200 === 0) await device.synchronize();
  }
  times.sort((a, b) => a - b);

  let recorded;
  const [graphMeta] = getMlaMetadata();
  const graph = device.capture(() => {
    recorded = flashMlaWithKvCache({ ...problem, schedMeta: graphMeta });
  });
  graph.replay();
  assert.deepEqual(await recorded.out.readFloat32(), out);
  const shorter = new Int32Array(problem.cacheSeqlens.shape[0]).fill(33);
  problem.cacheSeqlens.write(shorter);
  graph.replay();
  const replayed = await recorded.out.readFloat32();
  const direct = flashMlaWithKvCache({ ...problem, schedMeta: getMlaMetadata()[0] });
  assert.deepEqual(replayed, await direct.out.readFloat32());
  assert.notDeepEqual(replayed, out);
  const replays = [];
  for (let i = 0; i < (simulated ? 1 : 1000); i++) {
    const start = process.hrtime.bigint();
    graph.replay();
    replays.push(Number(process.hrtime.bigint() - start) / 1000);
  }
  replays.sort((a, b) => a - b);
  await device.synchronize();
  const seconds = await device.backend.measurements.deviceTime(() => graph.replay());
  return {
    'first result ms': firstMs.toFixed(0),
    'call µs (median)': times[times.length >> 1].toFixed(2),
    'replay µs (median)': replays[replays.length >> 1].toFixed(2),
    'device µs': (seconds * 1e6).toFixed(1),
  };
});

/** Streams beside one another: events, memory that changes hands, a graph of two branches. */
const streams = withDevice(async (device, { simulated }) => {
  const side = device.createStream({ name: 'side' });
  const count = simulated ? 2 ** 8 : 2 ** 24;
  const rounds = simulated ? 4 : 200;
  const x = device.empty([count], 'i32');
  const seen = [];
  for (let round = 0; round < rounds; round++) {
    // The bytes travel on one stream and are read on the other, in turns.
    const [from, to] = round % 2 ? [side, device.defaultStream] : [device.defaultStream, side];
    x.write(new Int32Array(count).fill(round), { stream: from });
    to.wait(from.record());
    if (round % 10 === 0 || simulated)
      seen.push([round, x.slice(0, count - 1, count).read({ stream: to })]);
    const passing = device.tensor(new Int32Array(1024).fill(-1), [1024], 'i32');
    passing.dispose();
  }
  for (const [round, value] of seen) assert.deepEqual([...(await value)], [round]);

  const { flashMlaWithKvCache, getMlaMetadata } = await flashMla('index.js');
  const problem = await decodeProblem(device, simulated ? { b: 1, sK: 64 } : {});
  const call = () => flashMlaWithKvCache({ ...problem, schedMeta: getMlaMetadata()[0] });
  const expected = await call().out.readFloat32();
  let branches = [];
  const graph = device.capture(() => {
    side.wait(device.defaultStream.record());
    branches = [call(), device.withStream(side, call)];
    device.defaultStream.wait(side.record());
  });
  for (let i = 0; i < (simulated ? 2 : 100); i++) {
    graph.replay({ stream: i % 2 ? side : device.defaultStream });
  }
  await device.synchronize();
  for (const { out } of branches) assert.deepEqual(await out.readFloat32(), expected);
  graph.dispose();

  const began = performance.now();
  for (let i = 0; i < 1000; i++) side.wait(device.defaultStream.record());
  const order = performance.now() - began;
  const done = side.record();
  await done.synchronize();
  assert.equal(done.isDone(), true);
  side.dispose();
  return { 'record and wait µs': order.toFixed(2) };
});

const debugMode = async ({ driver, simulated }) => {
  const device = await openDevice(driver, true);
  try {
    const { flashMlaWithKvCache, getMlaMetadata } = await flashMla('index.js');
    const problem = await decodeProblem(device, simulated ? { b: 1, sK: 64 } : {});
    problem.blockTable.write(new Int32Array(problem.blockTable.size).fill(1_000_000));
    flashMlaWithKvCache({ ...problem, schedMeta: getMlaMetadata()[0] });
    await assert.rejects(device.synchronize(), { argument: 'blockTable[0, 0]' });
    await device.synchronize();
  } finally {
    await device.dispose();
  }
};

export const backendSteps = [
  ['transfers', transfers],
  ['waiting leaves the event loop free', waiting],
  ['memory beyond the card', memory],
  ['a decode call, its graph and what they cost', decode],
  ['streams', streams],
  ['debug mode', debugMode],
];
