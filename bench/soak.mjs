// Life-cycle of the processor's devices under load: `node --expose-gc bench/soak.mjs [--calls N] [--seconds S]
// [--callers N] [--alone]`. Asynchronous callers share one device, the garbage collector runs, and other devices open, compute
// and close. Every answer must have the bits of the first one, and memory must stay flat. Prints JSON; exit code 1
// where an answer differs.
import { parseArgs } from 'node:util';
import {
  flashMlaSparseFwd,
  flashMlaWithKvCache,
  getMlaMetadata,
  linear,
  openDevice,
  quantizeKvCache,
} from 'flash-mla';

const { values: flags } = parseArgs({
  options: {
    calls: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '3600' },
    callers: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    alone: { type: 'boolean', default: false },
  },
});
const [calls, callers, threads] = [flags.calls, flags.callers, flags.threads].map(Number);
const deadline = performance.now() + 1e3 * Number(flags.seconds);
if (typeof gc !== 'function') throw new Error('run with node --expose-gc');

/** Numbers of bf16 around 0.01, the same each time. */
function numbers(count) {
  const codes = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    codes[i] = 0x3c00 | ((Math.imul(i, 2654435761) >>> 9) & 0x3ff) | (i & 4 ? 0x8000 : 0);
  }
  return codes;
}

/** Calls of several kinds on a device, each of which gives the tensors that it made. */
function problemsOn(device) {
  const bf16 = (...shape) => device.tensor(numbers(shape.reduce((a, b) => a * b)), shape, 'bf16');
  const dense = (hQ, lengths) => {
    const pages = lengths.length * 4;
    const call = {
      ...{ q: bf16(lengths.length, 1, hQ, 576), kCache: bf16(pages, 64, 1, 576), headDimV: 512 },
      blockTable: device.tensor(
        Int32Array.from({ length: pages }, (_, i) => (i * 7) % pages),
        [lengths.length, 4],
        'i32',
      ),
      cacheSeqlens: device.tensor(Int32Array.from(lengths), [lengths.length], 'i32'),
    };
    const [schedMeta] = getMlaMetadata();
    return () => Object.values(flashMlaWithKvCache({ ...call, schedMeta }));
  };
  const sparse = () => {
    const kCache = quantizeKvCache({ kCache: bf16(8, 64, 1, 576), layout: 'v32' });
    const indices = device.tensor(
      Int32Array.from({ length: 2 * 64 }, (_, i) => (i * 37) % 512),
      [2, 1, 64],
      'i32',
    );
    const q = bf16(2, 1, 16, 576);
    const [schedMeta] = getMlaMetadata();
    return () =>
      Object.values(flashMlaWithKvCache({ q, kCache, indices, headDimV: 512, schedMeta }));
  };
  const prefill = () => {
    const indices = device.tensor(
      Int32Array.from({ length: 3 * 64 }, (_, i) => (i * 29) % 128),
      [3, 1, 64],
      'i32',
    );
    const call = { q: bf16(3, 16, 576), kv: bf16(128, 1, 576), indices, smScale: 0.05, dV: 512 };
    return () => Object.values(flashMlaSparseFwd(call));
  };
  const product = (rows) => {
    const call = { x: bf16(rows, 256), weight: bf16(100, 256) };
    return () => [linear(call)];
  };
  return [
    dense(16, [100, 1, 256]),
    dense(40, [33, 200]),
    sparse(),
    prefill(),
    product(1),
    product(37),
  ];
}

/** The bytes of all that a call gives, as text. */
async function answer(run) {
  const outputs = run();
  const reads = await Promise.all(outputs.map((output) => output.read()));
  for (const output of outputs) output.dispose();
  return reads
    .map(({ buffer, byteOffset, byteLength }) =>
      Buffer.from(buffer, byteOffset, byteLength).toString('latin1'),
    )
    .join('|');
}

const device = await openDevice('cpu', { threads });
const problems = problemsOn(device);
const expected = [];
for (const run of problems) expected.push(await answer(run));

let [done, different, opened] = [0, 0, 0];
const more = () => done < calls && performance.now() < deadline;
const memory = [];

async function call(caller) {
  for (let i = caller; more(); i++) {
    const which = i % problems.length;
    done++;
    if ((await answer(problems[which])) !== expected[which]) different++;
  }
}

/** Opens devices; half of them close with work that nobody has waited for. */
async function openAndClose() {
  while (more()) {
    const other = await openDevice('cpu', { threads });
    const runs = problemsOn(other);
    const which = opened % runs.length;
    if (opened % 2 === 0) {
      if ((await answer(runs[which])) !== expected[which]) different++;
    } else runs[which]();
    await other.dispose();
    opened++;
  }
}

async function collect() {
  while (more()) {
    gc();
    memory.push([done, process.memoryUsage.rss()]);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const started = performance.now();
await Promise.all([
  ...Array.from({ length: callers }, (_, caller) => call(caller)),
  // `--alone`: no other devices, to tell what calls and what devices leave behind.
  flags.alone ? undefined : openAndClose(),
  collect(),
]);
const seconds = (performance.now() - started) / 1e3;
await device.dispose();

/** Bytes a call, by least squares over the second half, when everything has been loaded and compiled. */
function slope(points) {
  const half = points.slice(points.length >> 1);
  const mean = (i) => half.reduce((sum, point) => sum + point[i], 0) / half.length;
  const [x, y] = [mean(0), mean(1)];
  const over = half.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return over / half.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}
const rss = memory.map(([, bytes]) => bytes);
console.log(
  JSON.stringify({
    kernels: device.info.details.kernels,
    ...{ calls: done, callers, threads, devices: opened, different, seconds },
    collections: memory.length,
    rssHalfway: rss[rss.length >> 1],
    rssEnd: rss.at(-1),
    bytesPerCall: slope(memory),
  }),
);
process.exitCode = different > 0 ? 1 : 0;
