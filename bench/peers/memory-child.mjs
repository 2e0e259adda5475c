// Measures one decode in a process of its own: prints the memory that it takes beyond inputs and
// outputs, as the device counts it and as the system sees it.
import { flashMlaWithKvCache, getMlaMetadata, openDevice } from 'flash-mla';

const [b, hQ, sK, dQk, dV, page] = [4, 128, 4096, 576, 512, 64];
const blocks = (b * sK) / page;
const before = process.memoryUsage().rss;
const device = await openDevice('cpu', { threads: 2 });
const tensors = {
  q: device.empty([b, 1, hQ, dQk], 'bf16'),
  kCache: device.empty([blocks, page, 1, dQk], 'bf16'),
  blockTable: device.tensor(
    Int32Array.from({ length: blocks }, (_, i) => i),
    [b, sK / page],
    'i32',
  ),
  cacheSeqlens: device.tensor(new Int32Array(b).fill(sK), [b], 'i32'),
  out: device.empty([b, 1, hQ, dV], 'bf16'),
  lse: device.empty([b, hQ, 1], 'f32'),
};
// Block by block, so that the caller's own copy of the cache does not count.
const small = new Uint16Array(page * dQk).fill(0x3f80);
for (let i = 0; i < blocks; i++) tensors.kCache.slice(0, i, i + 1).write(small);
tensors.q.write(new Uint16Array(b * hQ * dQk).fill(0x3c00));
await device.synchronize();
const [schedMeta] = getMlaMetadata();
for (let i = 0; i < 20; i++) {
  flashMlaWithKvCache({ ...tensors, headDimV: dV, schedMeta });
  await device.synchronize();
}
const rows = { bf16: 2, i32: 4, f32: 4 };
const inputsAndOutputs = Object.values(tensors).reduce(
  (sum, { size, dtype }) => sum + size * rows[dtype],
  0,
);
console.log(
  JSON.stringify({
    inputsAndOutputs,
    deviceBeyond: device.memoryStats().reserved - inputsAndOutputs,
    residentBeyond: process.memoryUsage().rss - before - inputsAndOutputs,
  }),
);
await device.dispose();
