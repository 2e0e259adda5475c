// Times dense decoding by two builds of this library in one process, graph replays in turns, so that a change
// of half a percent shows beside clocks that move by more:
//   node bench/cuda/two-builds.mjs --before FOLDER --after FOLDER --b 128 --h-q 128 --s-k 4096
// A folder holds `packages/flash-mla/dist` and what that imports.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    before: { type: 'string' },
    after: { type: 'string' },
    device: { type: 'string', default: 'cuda' },
    b: { type: 'string', default: '128' },
    'h-q': { type: 'string', default: '128' },
    's-k': { type: 'string', default: '4096' },
  },
});
if (values.before === undefined || values.after === undefined) {
  console.error('two-builds: --before and --after name the folders of two builds');
  process.exit(1);
}
const [b, hQ, sK] = [Number(values.b), Number(values['h-q']), Number(values['s-k'])];
const [pageSize, dQk, dV, rounds] = [64, 576, 512, 30];
const pages = (b * sK) / pageSize;
/** Beyond the 60 MB of an H200's second-level cache. */
const copies = Math.max(2, Math.min(6, Math.ceil(240e6 / (b * sK * dQk * 2))));

let state = 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
/** Codes of bf16 values that are about normal. */
const noise = Uint16Array.from({ length: 2 ** 20 }, () => {
  let sum = -3;
  for (let i = 0; i < 6; i++) sum += random();
  return new Uint32Array(Float32Array.of(sum).buffer)[0] >>> 16;
});
function bf16(length) {
  const codes = new Uint16Array(length);
  for (let at = 0; at < length; at += noise.length) {
    codes.set(noise.subarray(0, Math.min(noise.length, length - at)), at);
  }
  return codes;
}
function shuffled(length) {
  const list = Int32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

async function prepare(folder) {
  const { openDevice, flashMlaWithKvCache, getMlaMetadata } = await import(
    resolve(folder, 'packages/flash-mla/dist/index.js')
  );
  const device = await openDevice(values.device);
  const calls = [];
  for (let copy = 0; copy < copies; copy++) {
    const [schedMeta] = getMlaMetadata();
    const call = {
      q: device.tensor(bf16(b * hQ * dQk), [b, 1, hQ, dQk], 'bf16'),
      kCache: device.tensor(bf16(pages * pageSize * dQk), [pages, pageSize, 1, dQk], 'bf16'),
      blockTable: device.tensor(shuffled(pages), [b, sK / pageSize], 'i32'),
      cacheSeqlens: device.tensor(new Int32Array(b).fill(sK), [b], 'i32'),
      headDimV: dV,
      schedMeta,
    };
    const { out, lse } = flashMlaWithKvCache(call);
    await out.readFloat32();
    calls.push({ ...call, out, lse });
  }
  const graph = device.capture(() => {
    for (const call of calls) flashMlaWithKvCache(call);
  });
  return { device, graph };
}

/** Microseconds of a call. */
async function time({ device, graph }, replays) {
  await device.synchronize();
  const start = process.hrtime.bigint();
  for (let i = 0; i < replays; i++) graph.replay();
  await device.synchronize();
  return Number(process.hrtime.bigint() - start) / 1000 / replays / copies;
}

const before = await prepare(values.before);
const after = await prepare(values.after);
await time(after, 3);
const replays = Math.max(3, Math.ceil(25_000 / ((await time(before, 5)) * copies)));
const times = { before: [], after: [] };
const ratios = [];
for (let round = 0; round < rounds; round++) {
  const order = round % 2 === 0 ? ['after', 'before'] : ['before', 'after'];
  for (const side of order) {
    times[side].push(await time(side === 'before' ? before : after, replays));
  }
  ratios.push(times.after.at(-1) / times.before.at(-1));
}
const at = (list, share) => [...list].sort((x, y) => x - y)[Math.floor(list.length * share)];
console.log(
  `b=${b} hQ=${hQ} sK=${sK}: before ${at(times.before, 0.5).toFixed(2)} µs, after ${at(times.after, 0.5).toFixed(2)} µs; ` +
    `ratio ${at(ratios, 0.5).toFixed(4)} (quartiles ${at(ratios, 0.25).toFixed(4)} and ${at(ratios, 0.75).toFixed(4)})`,
);
process.exit(0);
