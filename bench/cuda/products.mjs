// Matrix products and experts at the shapes of Moonlight-16B-A3B: graphs of calls over rotated weights.
//   node bench/cuda/products.mjs [--device sim] [--peer FILE] [--json FILE] [--small]
// FILE of --peer: what products-torch.py has printed on the same GPU, microseconds by "linear ROWS COLUMNS DEPTH".
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flashMla } from './app.mjs';

const { values: options } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    peer: { type: 'string' },
    json: { type: 'string' },
    small: { type: 'boolean', default: false },
  },
});
const { expertMlp, linear, openDevice, routeExperts } = await flashMla('index.js');
const peer = options.peer ? JSON.parse(readFileSync(options.peer, 'utf8')) : {};
const device = await openDevice(options.device);
const { measurements } = device.backend;

/** Values in the pool that tensors are filled from. */
const poolSize = 1 << 20;
let seed = 1;
function uniform() {
  seed = (seed + 0x6d2b79f5) >>> 0;
  let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
const normals = Float32Array.from({ length: poolSize }, normal);
const bf16Codes = (scale) => {
  const words = new Uint32Array(normals.map((value) => value * scale).buffer);
  return Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16);
};
const e4m3Codes = Uint8Array.from({ length: poolSize }, () => {
  const code = Math.floor(uniform() * 256);
  return (code & 0x7f) === 0x7f ? 0 : code;
});
const sources = { unit: bf16Codes(1), small: bf16Codes(0.03), e4m3: e4m3Codes };

/** A tensor of random values from the pool. */
function random(shape, dtype, source) {
  const tensor = device.empty(shape, dtype);
  const flat = tensor.reshape([tensor.size]);
  for (let done = 0; done < tensor.size; ) {
    const begin = Math.floor(uniform() * 1000) * 16;
    const count = Math.min(poolSize - begin, tensor.size - done);
    flat.slice(0, done, done + count).write(source.subarray(begin, begin + count));
    done += count;
  }
  return tensor;
}

/** Median microseconds of a call. */
async function timed(enqueue, calls) {
  for (let i = 0; i < Math.min(3, calls); i++) enqueue(i);
  await device.synchronize();
  const graph = device.capture(() => {
    for (let i = 0; i < calls; i++) enqueue(i);
  });
  const begin = performance.now();
  do {
    for (let i = 0; i < 8; i++) graph.replay();
    await device.synchronize();
  } while (performance.now() - begin < 150);
  const times = [];
  for (let i = 0; i < 15; i++) {
    times.push(((await measurements.deviceTime(() => graph.replay())) / calls) * 1e6);
  }
  graph.dispose();
  return times.sort((a, b) => a - b)[7];
}

const rows = [];
function report(what, us, others) {
  const row = { what, us: Number(us.toFixed(2)) };
  if (others) Object.assign(row, { peerUs: Number(others.toFixed(2)), ratio: others / us });
  rows.push(row);
  console.log(`${what}: ${us.toFixed(2)} us${others ? `, ${(others / us).toFixed(2)} x` : ''}`);
}

async function products(columns, depth, dtype, counts) {
  const bytes = columns * depth * (dtype === 'e4m3' ? 1 : 2);
  const copies = options.small ? 2 : Math.max(1, Math.min(16, Math.ceil(300e6 / bytes)));
  const source = dtype === 'e4m3' ? sources.e4m3 : sources.small;
  const weights = Array.from({ length: copies }, () => random([columns, depth], dtype, source));
  const blocks = [Math.ceil(columns / 128), Math.ceil(depth / 128)];
  const weightScales = dtype === 'e4m3' ? device.empty(blocks, 'f32') : undefined;
  weightScales?.fill(0.01);
  for (const count of counts) {
    const x = random([count, depth], 'bf16', sources.unit);
    const out = device.empty([count, columns], 'bf16');
    const call = { x, weightScales, out, allowE4m3Rows: dtype === 'e4m3' };
    const calls = columns * depth * count < 2 ** 34 ? Math.max(8, copies) : copies;
    const us = await timed((i) => linear({ ...call, weight: weights[i % copies] }), calls);
    const key = `linear ${count} ${columns} ${depth}`;
    report(`${dtype} ${key}`, us, dtype === 'bf16' ? peer[key] : undefined);
    for (const tensor of [x, out]) tensor.dispose();
  }
  for (const tensor of [...weights, ...(weightScales ? [weightScales] : [])]) tensor.dispose();
}

async function experts({ experts: count, topK, hidden, width }, counts) {
  const copies = 2;
  const sets = Array.from({ length: copies }, () => ({
    gateUp: random([count, 2 * width, hidden], 'bf16', sources.small),
    down: random([count, hidden, width], 'bf16', sources.small),
  }));
  for (const n of counts) {
    const inputs = Array.from({ length: 8 }, () => ({
      logits: device.tensor(Float32Array.from({ length: n * count }, normal), [n, count], 'f32'),
      x: random([n, hidden], 'bf16', sources.unit),
    }));
    const chosen = {
      experts: device.empty([n, topK], 'i32'),
      weights: device.empty([n, topK], 'f32'),
    };
    const out = device.empty([n, hidden], 'bf16');
    const options = { topK, scoring: 'sigmoid', normalize: true, scale: 2.446, ...chosen };
    const us = await timed((i) => {
      const { logits, x } = inputs[i % inputs.length];
      routeExperts({ ...options, logits });
      expertMlp({ x, ...chosen, ...sets[i % copies], out });
    }, 8);
    report(`experts ${n}, ${topK} of ${count}, routing included`, us, peer[`experts ${n}`]);
  }
}

if (options.small) {
  await products(64, 128, 'bf16', [1, 40]);
  await experts({ experts: 4, topK: 2, hidden: 128, width: 64 }, [2]);
} else {
  const some = [1, 4, 8, 16, 32, 64, 128];
  for (const [columns, depth] of [
    [3648, 2048],
    [2048, 2048],
    [2048, 2816],
  ]) {
    await products(columns, depth, 'bf16', [...some, 512, 4096]);
    await products(columns, depth, 'e4m3', [1, 16, 64, 128, 4096]);
  }
  await products(163_840, 2048, 'bf16', some);
  await experts({ experts: 64, topK: 6, hidden: 2048, width: 1408 }, [1, 8, 32, 128, 1024, 8192]);
}
if (options.json)
  writeFileSync(options.json, `${JSON.stringify({ device: device.info.name, rows }, null, 1)}\n`);
await device.dispose();
