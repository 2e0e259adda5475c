// Machine code against WebAssembly: every kind of kernels that this processor runs, in turns in one process, with
// ceilings measured between them, and which bars of docs/cpu.md they meet. Figures are medians; the best times stand
// beside them. `npm run bench -- native [--rounds N] [--threads N] [--only TEXT,…] [--kinds LIST] [--json] [--out FILE]`.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openDevice } from 'flash-mla';
import { judge, lineOf } from './native/bars.mjs';
import { ceilings } from './native/ceilings.mjs';
import {
  decode,
  experts,
  norm,
  packing,
  product,
  scaledProduct,
  sparseDecode,
} from './native/problems.mjs';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
    kinds: { type: 'string', default: 'wasm,avx2,avx512,amx' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const rounds = Number(flags.rounds);
const most = Number(flags.threads);
if (!(rounds >= 1 && most >= 1)) throw new Error('--rounds and --threads: numbers from 1 up');

const kinds = flags.kinds.split(',');
/** Devices of one kind and number of threads, for those kinds that run here. */
async function openAll(threads) {
  const devices = new Map();
  for (const kind of kinds) {
    process.env.FLASH_MLA_CPU = kind;
    const device = await openDevice('cpu', { threads }).catch((error) => error);
    if (device instanceof Error) console.error(`${kind}: ${device.message}`);
    else devices.set(kind, device);
  }
  return devices;
}

/** The times of each device for a problem, in turns, in seconds, in order. */
async function measure(problem, devices) {
  const prepared = [];
  for (const [kind, device] of devices)
    prepared.push([kind, device, await problem.prepare(device)]);
  const times = new Map([...devices.keys()].map((kind) => [kind, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [kind, device, { run }] of prepared) {
      const started = performance.now();
      const outputs = run();
      await device.synchronize();
      const seconds = (performance.now() - started) / 1e3;
      for (const output of outputs) output.dispose();
      // The first round only warms up.
      if (round > 0) times.get(kind).push(seconds);
    }
  }
  for (const [, device, { tensors }] of prepared) {
    for (const tensor of tensors) tensor.dispose();
    await device.synchronize();
  }
  for (const each of times.values()) each.sort((a, b) => a - b);
  return times;
}

const problems = [
  decode({ b: 4, hQ: 128, sK: 4096 }),
  decode({ b: 4, hQ: 16, sK: 4096 }),
  decode({ b: 4, hQ: 128, sK: 4096, cold: true }),
  decode({ b: 4, hQ: 16, sK: 4096, cold: true }),
  decode({ b: 1, hQ: 16, sK: 65536 }),
  decode({ b: 4, hQ: 128, sK: 2048 }),
  sparseDecode({ b: 4, hQ: 128, topk: 2048, layout: 'v32' }),
  ...[1, 4, 16, 64, 512].map((rows) => product({ rows, size: 4096 })),
  ...[1, 4, 16, 64].map((rows) => scaledProduct({ rows, size: 4096 })),
  ...['bf16', 'e4m3'].flatMap((dtype) => [1, 8, 64].map((rows) => experts({ rows, dtype }))),
  ...['quantize', 'dequantize', 'append'].flatMap((call) =>
    ['v32', 'model1'].map((layout) => packing({ call, layout })),
  ),
  ...['bf16', 'f32'].map((dtype) => norm({ rows: 4096, columns: 2048, dtype })),
].filter(({ name }) => flags.only.split(',').some((text) => name.includes(text.trim())));

const date = new Date().toISOString();
const report = { date, node: process.version, rounds, ceilings: {}, results: [] };
for (const threads of new Set([1, most])) {
  const devices = await openAll(threads);
  report.processor ??= devices.values().next().value?.info.name;
  report.ceilings[threads] = await ceilings(devices, threads);
  for (const problem of problems) {
    const times = await measure(problem, devices);
    const { name, flops, bytes } = problem;
    const middleOf = (sorted) => sorted[sorted.length >> 1];
    const first = middleOf(times.get([...devices.keys()][0]));
    for (const [kind, sorted] of times) {
      const seconds = middleOf(sorted);
      const rates = { gflops: flops / seconds / 1e9, gbs: bytes / seconds / 1e9 };
      const bestMs = sorted[0] * 1e3;
      const row = {
        name,
        threads,
        kind,
        ms: seconds * 1e3,
        bestMs,
        ...rates,
        ratio: first / seconds,
      };
      report.results.push(row);
      if (!flags.json) {
        const { ms, gflops, gbs, ratio } = row;
        const numbers = `${ms.toFixed(2)} ms (best ${bestMs.toFixed(2)})  ${gflops.toFixed(1)} GFLOP/s  ${gbs.toFixed(1)} GB/s`;
        console.log(
          `${name.padEnd(38)} ${threads} thr  ${kind.padEnd(7)} ${numbers}  ${ratio.toFixed(2)}×`,
        );
      }
    }
  }
  for (const device of devices.values()) await device.dispose();
}
report.bars = judge(report, most);
const text = JSON.stringify(report, null, 1);
if (flags.out) writeFileSync(flags.out, `${text}\n`);
if (flags.json) console.log(text);
else {
  console.log('ceilings by threads, GFLOP/s:', report.ceilings);
  for (const bar of report.bars) console.log(lineOf(bar));
}
