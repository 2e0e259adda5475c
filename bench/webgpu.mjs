// WebGPU on a GPU, in Node through Dawn: the figures that docs/webgpu.md promises, by timestamp queries.
//   node bench/webgpu.mjs [--part PART]... [--b 128] [--s-k 8192] [--repeats 7] [--out FILE]
// Parts: ceilings, dense-16, dense-2, sparse, plain (three kernels: scores, softmax, product; checked
// against the reference first), sweep (every tuning alone, not unless asked for).
// Prints a table on stderr and JSON on stdout. APP: see cuda/app.mjs.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openTuned } from './webgpu/device.mjs';
import { plainAttention } from './webgpu/plain.mjs';
import { denseProblem, sparseProblem } from './webgpu/problems.mjs';
import { sweep } from './webgpu/sweep.mjs';
import { measure } from './webgpu/timing.mjs';

const parts = ['ceilings', 'dense-16', 'dense-2', 'sparse', 'plain', 'sweep'];
const { values } = parseArgs({
  options: {
    part: { type: 'string', multiple: true },
    b: { type: 'string', default: '128' },
    's-k': { type: 'string', default: '8192' },
    topk: { type: 'string', default: '2048' },
    repeats: { type: 'string', default: '7' },
    out: { type: 'string' },
  },
});
const chosen = values.part ?? parts.slice(0, 5);
const size = { b: Number(values.b), sK: Number(values['s-k']), topk: Number(values.topk) };
const repeats = Number(values.repeats);
const unknown = chosen.find((part) => !parts.includes(part));
if (unknown !== undefined || !Object.values(size).every((n) => n >= 1) || !(repeats >= 1)) {
  console.error(`Parts are ${parts.join(', ')}; sizes and repeats are numbers from 1.`);
  process.exit(2);
}

const result = { date: new Date().toISOString(), ...size, repeats };
const line = (name, figures) =>
  console.error(
    `${name.padEnd(28)} ${Object.entries(figures)
      .map(([key, value]) => `${key} ${typeof value === 'number' ? value.toFixed(3) : value}`)
      .join('   ')}`,
  );

const { device, info } = await openTuned();
result.device = info;
line('device', { name: info.name, ...info.details, features: '' });

if (chosen.includes('ceilings')) {
  const started = performance.now();
  const ceilings = await device.backend.measurements.ceilings();
  result.ceilings = { ...ceilings, tookMs: performance.now() - started };
  line('ceilings', {
    tflops: ceilings.flopsPerSecond / 1e12,
    readTbps: ceilings.readBytesPerSecond / 1e12,
    copyTbps: ceilings.copyBytesPerSecond / 1e12,
    tookMs: result.ceilings.tookMs,
  });
}
for (const hQ of [16, 2]) {
  if (!chosen.includes(`dense-${hQ}`)) continue;
  const problem = denseProblem(device, { ...size, hQ });
  const ms = await measure(device, problem.enqueue, repeats);
  const figures = { ms, tflops: problem.flops / ms / 1e9, tbps: problem.bytes / ms / 1e9 };
  problem.dispose();
  result[`dense${hQ}`] = figures;
  line(`dense bf16 hQ=${hQ}`, figures);
}
if (chosen.includes('sparse')) {
  const times = {};
  for (const layout of ['bf16', 'v32', 'model1']) {
    const problem = sparseProblem(device, { ...size, hQ: 16, layout });
    times[layout] = await measure(device, problem.enqueue, repeats);
    problem.dispose();
  }
  result.sparse = { ...times, v32OverBf16: times.v32 / times.bf16 };
  line('sparse hQ=16, ms', result.sparse);
}
await device.dispose();
if (chosen.includes('plain')) {
  const plain = await plainAttention({ ...size, hQ: 16 }, repeats);
  result.plain = { ...plain, over: result.dense16 ? plain.ms / result.dense16.ms : undefined };
  line('plain kernels hQ=16', {
    ms: plain.ms,
    timesSlower: result.plain.over ?? 'n/a',
    largestError: plain.largestError.toExponential(1),
  });
}
if (chosen.includes('sweep')) result.sweep = await sweep(size, repeats, line);

const json = `${JSON.stringify(result, null, 2)}\n`;
process.stdout.write(json);
if (values.out) writeFileSync(values.out, json);
