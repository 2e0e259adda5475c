// Self-check of a CudaDriver by itself. A step returns figures to print, and throws when it fails.
import { strict as assert } from 'node:assert';
import { flashMla, ptx } from './app.mjs';
import { download, finish, prepare, sourceOf, upload } from './kernel.mjs';
import { addValue, chained, sharedUser, spin } from './kernels.mjs';

const words = (bytes) => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const bytesOf = (array) => new Uint8Array(array.buffer);
const targetOf = ({ sm }) => `sm_${sm}`;

/** Median of the microseconds that each of `count` calls takes on the host. */
function hostMicroseconds(count, call) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const begin = process.hrtime.bigint();
    call();
    times.push(Number(process.hrtime.bigint() - begin) / 1000);
  }
  return times.sort((a, b) => a - b)[count >> 1].toFixed(2);
}

function withContext(step) {
  return async (env) => {
    const context = env.driver.openContext(0);
    const stream = context.createStream();
    try {
      return await step(context, stream, env);
    } finally {
      context.destroyStream(stream);
      context.close();
    }
  };
}

const memory = withContext((context) => {
  const before = context.memoryInfo();
  const address = context.allocate(2 ** 28);
  const used = before.free - context.memoryInfo().free;
  assert.ok(used >= 2 ** 28 - 2 ** 22, `256 MiB were allocated, ${used} bytes are gone`);
  assert.equal(address % 256, 0);
  context.free(address);
  assert.throws(() => context.allocate(2 ** 45), { code: 2, sticky: false });
  context.free(context.allocate(512));
  return { freeGiB: (before.free / 2 ** 30).toFixed(1) };
});

const copies = withContext((context, stream) => {
  const data = Uint32Array.from({ length: 2 ** 18 }, (_, i) => Math.imul(i, 2654435761));
  const source = upload(context, stream, bytesOf(data));
  const target = context.allocate(2 ** 20);
  context.fill(target, 0xdeadbeef, 2 ** 18, stream);
  assert.ok(words(download(context, stream, target, 2 ** 20)).every((w) => w === 0xdeadbeef));
  context.copyOnDevice(target, source, 2 ** 19, stream);
  const result = words(download(context, stream, target, 2 ** 20));
  assert.deepEqual(result.subarray(0, 2 ** 17), data.subarray(0, 2 ** 17));
  assert.equal(result[2 ** 17], 0xdeadbeef);
  context.free(source);
  context.free(target);
});

const bandwidth = withContext((context, stream, { simulated }) => {
  const bytes = simulated ? 2 ** 16 : 2 ** 30;
  const [a, b] = [context.allocate(bytes), context.allocate(bytes)];
  const [begin, end] = [context.createEvent(true), context.createEvent(true)];
  const pinned = context.allocatePinned(bytes / 4);
  context.fill(a, 1, bytes / 4, stream);
  const time = (enqueue) => {
    enqueue();
    context.recordEvent(begin, stream);
    for (let i = 0; i < 10; i++) enqueue();
    context.recordEvent(end, stream);
    context.synchronizeEvent(end);
    return context.elapsedMs(begin, end) / 1e4;
  };
  const gigabytes = (n, seconds) => `${(n / seconds / 1e9).toFixed(0)} GB/s`;
  const onDevice = time(() => context.copyOnDevice(b, a, bytes, stream));
  const toDevice = time(() => context.copyToDevice(a, pinned.address, bytes / 4, stream));
  const toHost = time(() => context.copyToHost(pinned.address, a, bytes / 4, stream));
  for (const address of [a, b]) context.free(address);
  context.freePinned(pinned);
  return {
    'device copy (read + write)': gigabytes(2 * bytes, onDevice),
    'to device': gigabytes(bytes / 4, toDevice),
    'to host': gigabytes(bytes / 4, toHost),
  };
});

const compiling = withContext(async (context, stream, { facts }) => {
  const source = await sourceOf(addValue, targetOf(facts));
  const began = performance.now();
  const first = context.loadKernel(source);
  const compiled = performance.now();
  const second = context.loadKernel(source);
  const cached = performance.now();
  const data = Uint32Array.from({ length: 1000 }, (_, i) => i);
  const address = upload(context, stream, bytesOf(data));
  for (const loaded of [first, second]) {
    const values = { source: address, target: address, count: 1000, value: 5 };
    prepare(context, source, loaded, stream, [4, 1, 1], values).run();
  }
  const result = words(download(context, stream, address, 4000));
  assert.deepEqual(
    result,
    data.map((x) => x + 10),
  );
  return {
    'compile ms': (compiled - began).toFixed(1),
    'from disk ms': (cached - compiled).toFixed(1),
    'second from disk': second.cached,
    registers: first.registers,
  };
});

const specificTarget = withContext(async (context, stream, { facts }) => {
  if (facts.sm !== 90) return { skipped: 'no sm_90' };
  const source = await sourceOf(addValue, 'sm_90a');
  const loaded = context.loadKernel(source);
  const address = upload(context, stream, bytesOf(new Uint32Array(8)));
  const values = { source: address, target: address, count: 8, value: 3 };
  prepare(context, source, loaded, stream, [1, 1, 1], values).run();
  assert.ok(words(download(context, stream, address, 32)).every((word) => word === 3));
});

const compileErrors = withContext(async (context, _stream, { facts, simulated }) => {
  if (simulated) return { skipped: 'the simulator reads no PTX' };
  const source = await sourceOf(addValue, targetOf(facts));
  const broken = { ...source, ptx: () => source.ptx().replace('add.u32', 'add.u33') };
  const { KernelCompileError } = await flashMla('errors.js');
  try {
    context.loadKernel(broken);
  } catch (error) {
    assert.ok(error instanceof KernelCompileError, String(error));
    return { log: JSON.stringify(error.log.slice(0, 120)) };
  }
  throw new Error('a broken kernel compiled');
});

const sharedMemory = withContext(async (context, stream, { facts }) => {
  const { field } = await ptx();
  for (const bytes of [48 * 1024, facts.maxSharedPerBlock]) {
    const source = await sourceOf(sharedUser(field, bytes), targetOf(facts));
    const target = upload(context, stream, new Uint8Array(4));
    prepare(context, source, context.loadKernel(source), stream, [1, 1, 1], { target }).run();
    assert.equal(words(download(context, stream, target, 4))[0], 7, `${bytes} bytes`);
  }
  return { bytes: facts.maxSharedPerBlock };
});

const launchCost = withContext(async (context, stream, { facts, simulated }) => {
  const count = simulated ? 20 : 2000;
  const source = await sourceOf(addValue, targetOf(facts));
  const loaded = context.loadKernel(source);
  const address = upload(context, stream, new Uint8Array(1024));
  const values = { source: address, target: address, count: 256, value: 1 };
  const plain = prepare(context, source, loaded, stream, [1, 1, 1], values);
  const overlapping = prepare(context, source, loaded, stream, [1, 1, 1], values, facts.sm >= 90);
  const event = context.createEvent(false);
  const cost = (call) => {
    hostMicroseconds(count, call);
    finish(context, stream);
    const result = hostMicroseconds(count, call);
    finish(context, stream);
    return result;
  };
  return {
    'launch µs': cost(() => plain.run()),
    'overlapping launch µs': cost(() => overlapping.run()),
    'record event µs': cost(() => context.recordEvent(event, stream)),
    'query event µs': cost(() => context.queryEvent(event)),
    'fill µs': cost(() => context.fill(address, 0, 4, stream)),
  };
});

const overlap = withContext(async (context, stream, { facts }) => {
  if (facts.sm < 90) return { skipped: 'needs sm_90' };
  const source = await sourceOf(chained, targetOf(facts));
  const loaded = context.loadKernel(source);
  const count = 256 * 264;
  const data = upload(context, stream, bytesOf(new Uint32Array(count).fill(1)));
  let expected = 1;
  for (let value = 0; value < 50; value++) {
    prepare(context, source, loaded, stream, [264, 1, 1], { data, value }, true).run();
    expected = (Math.imul(expected, 3) + value) >>> 0;
  }
  const result = words(download(context, stream, data, count * 4));
  assert.ok(
    result.every((word) => word === expected),
    'a launch did not wait for the one ahead',
  );
});

const graphs = withContext(async (context, stream, { facts, simulated }) => {
  const source = await sourceOf(chained, targetOf(facts));
  const data = upload(context, stream, bytesOf(new Uint32Array(256).fill(2)));
  const figures = {};
  for (const nodes of [2, 16, 120]) {
    context.fill(data, 2, 256, stream);
    context.beginCapture(stream);
    // Loading and allocating inside a recording is what the backend does at first use.
    const loaded = context.loadKernel(source);
    const scratch = context.allocate(2 ** 20);
    for (let i = 0; i < nodes; i++) {
      const overlapping = facts.sm >= 90 && i > 0;
      prepare(context, source, loaded, stream, [1, 1, 1], { data, value: i }, overlapping).run();
    }
    const graph = context.endCapture(stream);
    assert.equal(words(download(context, stream, data, 4))[0], 2, 'recording ran the work');
    let expected = 2;
    for (let replay = 0; replay < 3; replay++) {
      context.launchGraph(graph, stream);
      for (let i = 0; i < nodes; i++) expected = (Math.imul(expected, 3) + i) >>> 0;
    }
    assert.equal(words(download(context, stream, data, 4))[0], expected);
    const count = simulated ? 3 : 300;
    figures[`replay of ${nodes} µs`] = hostMicroseconds(count, () => {
      context.launchGraph(graph, stream);
    });
    finish(context, stream);
    context.destroyGraph(graph);
    context.free(scratch);
  }
  return figures;
});

const eventTimes = withContext(async (context, stream, { facts, simulated }) => {
  const source = await sourceOf(spin, targetOf(facts));
  const loaded = context.loadKernel(source);
  const cycles = simulated ? 10_000 : 50_000_000;
  const [begin, end] = [context.createEvent(true), context.createEvent(true)];
  const run = prepare(context, source, loaded, stream, [1, 1, 1], { cycles });
  context.recordEvent(begin, stream);
  run.run();
  context.recordEvent(end, stream);
  if (!simulated) assert.equal(context.queryEvent(end), false, 'the launch waited');
  context.synchronizeEvent(end);
  assert.equal(context.queryEvent(end), true);
  const ms = context.elapsedMs(begin, end);
  return { ms: ms.toFixed(2), MHz: (cycles / ms / 1000).toFixed(0) };
});

export const driverSteps = [
  ['memory', memory],
  ['copies and fills', copies],
  ['bandwidth', bandwidth],
  ['compiling and the disk cache', compiling],
  ['the architecture-specific target', specificTarget],
  ['compiler errors', compileErrors],
  ['shared memory up to the limit', sharedMemory],
  ['events', eventTimes],
  ['host cost', launchCost],
  ['overlapping launches', overlap],
  ['graphs', graphs],
];
