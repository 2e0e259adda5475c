// What machine code costs besides the kernels: `node bench/native/host-cost.mjs`. Milliseconds until a device is open,
// and microseconds of the host for a decode call and until its result is there, medians, for each kind in turns.
import { flashMlaWithKvCache, getMlaMetadata, openDevice } from 'flash-mla';

const kinds = ['wasm', 'avx2', 'avx512', 'amx'];
const openings = 9;
const calls = 400;

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

async function open(kind) {
  process.env.FLASH_MLA_CPU = kind;
  const began = performance.now();
  const device = await openDevice('cpu', { threads: 2 }).catch(() => undefined);
  return { device, ms: performance.now() - began };
}

const opened = new Map();
for (let round = 0; round <= openings; round++) {
  for (const kind of kinds) {
    const { device, ms } = await open(kind);
    await device?.dispose();
    // The first round tests kernels and loads modules.
    if (device && round > 0) opened.set(kind, [...(opened.get(kind) ?? []), ms]);
  }
}

for (const [kind, times] of opened) {
  const { device } = await open(kind);
  const q = device.tensor(new Uint16Array(16 * 576).fill(0x3c00), [1, 1, 16, 576], 'bf16');
  const kCache = device.tensor(new Uint16Array(64 * 576).fill(0x3c00), [1, 64, 1, 576], 'bf16');
  const blockTable = device.tensor(new Int32Array(1), [1, 1], 'i32');
  const cacheSeqlens = device.tensor(new Int32Array([64]), [1], 'i32');
  const [out, lse] = [device.empty([1, 1, 16, 512], 'bf16'), device.empty([1, 16, 1], 'f32')];
  const [schedMeta] = getMlaMetadata();
  const call = { q, kCache, blockTable, cacheSeqlens, headDimV: 512, schedMeta, out, lse };
  const [host, whole] = [[], []];
  for (let i = 0; i < calls; i++) {
    const began = performance.now();
    flashMlaWithKvCache(call);
    const returned = performance.now();
    await device.synchronize();
    if (i < calls / 4) continue;
    host.push(1e3 * (returned - began));
    whole.push(1e3 * (performance.now() - began));
  }
  console.log(
    `${kind.padEnd(7)} open ${median(times).toFixed(1)} ms, a call of 64 tokens: host ${median(host).toFixed(1)} µs, done after ${median(whole).toFixed(1)} µs`,
  );
  await device.dispose();
}
