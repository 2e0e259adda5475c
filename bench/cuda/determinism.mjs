// With `deterministic: true`, a request's bits must not depend on the batch it is in: 200 random
// batches on the GPU, each request compared with what it gives alone.
//
//     node bench/cuda/determinism.mjs [--batches 200] [--device cuda]
import { parseArgs } from 'node:util';
import { flashMla } from './app.mjs';

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '200' },
    device: { type: 'string', default: 'cuda' },
  },
});
const { openDevice, getMlaMetadata, flashMlaWithKvCache } = await flashMla('index.js');

let state = 2024;
const random = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
/** bf16 between −2 and 2. */
const noise = (n) =>
  Uint16Array.from({ length: n }, () => (random(2) << 15) | (0x3f00 + random(256)));

const device = await openDevice(values.device);
const page = 64;
const lengths = [0, 1, 63, 64, 65, 700, 1023, 1024, 1025, 2500, 4097, 6000];
const pagesOf = (length) => Math.ceil(length / page);
const width = Math.max(...lengths.map(pagesOf));
const firstPage = lengths.map((_, i) => lengths.slice(0, i).reduce((n, l) => n + pagesOf(l), 0));
const pages = lengths.reduce((n, l) => n + pagesOf(l), 0);
const kCache = device.tensor(noise(pages * page * 576), [pages, page, 1, 576], 'bf16');
const table = (i) =>
  Array.from({ length: width }, (_, p) => (p < pagesOf(lengths[i]) ? firstPage[i] + p : 0));

let compared = 0;
for (const [sQ, hQ] of [
  [1, 16],
  [1, 64],
  [1, 128],
  [2, 128],
]) {
  const queries = lengths.map(() => noise(sQ * hQ * 576));
  const run = async (requests) => {
    const q = new Uint16Array(requests.length * sQ * hQ * 576);
    for (const [i, r] of requests.entries()) q.set(queries[r], i * sQ * hQ * 576);
    const tensors = {
      q: device.tensor(q, [requests.length, sQ, hQ, 576], 'bf16'),
      blockTable: device.tensor(
        Int32Array.from(requests.flatMap(table)),
        [requests.length, width],
        'i32',
      ),
      cacheSeqlens: device.tensor(
        Int32Array.from(requests, (r) => lengths[r]),
        [requests.length],
        'i32',
      ),
    };
    const [schedMeta] = getMlaMetadata();
    const options = { kCache, headDimV: 512, schedMeta, causal: true, deterministic: true };
    const { out, lse } = flashMlaWithKvCache({ ...tensors, ...options });
    const [outBits, lseBits] = [await out.read(), await lse.read()];
    for (const tensor of [...Object.values(tensors), out, lse]) tensor.dispose();
    return requests.map((_, i) => [
      Buffer.from(outBits.slice(i * sQ * hQ * 512, (i + 1) * sQ * hQ * 512).buffer),
      Buffer.from(lseBits.slice(i * sQ * hQ, (i + 1) * sQ * hQ).buffer),
    ]);
  };
  const alone = [];
  for (let r = 0; r < lengths.length; r++) alone.push((await run([r]))[0]);
  for (let batch = 0; batch < Number(values.batches) / 4; batch++) {
    const requests = Array.from({ length: 1 + random(40) }, () => random(lengths.length));
    const results = await run(requests);
    requests.forEach((r, i) => {
      compared++;
      if (results[i].some((bits, part) => !bits.equals(alone[r][part]))) {
        throw new Error(
          `sQ=${sQ} hQ=${hQ}, length ${lengths[r]}: other bits as number ${i} of a batch of ${requests.length}`,
        );
      }
    });
  }
}
console.log(`${compared} requests in ${values.batches} batches: the same bits as alone`);
await device.dispose();
