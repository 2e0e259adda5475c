// Times sparse decodes by the kernel for Hopper's warp groups and by the portable one, in turns on the same
// problems. Needs a build:
//   node bench/cuda/sparse-warp-groups.mjs [--device sim:2] [--only TEXT] [--json FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flashMla } from './app.mjs';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
});
const { openDevice } = await flashMla('index.js');
const { measure } = await flashMla('command/bench/measure.js');
const { rotation } = await flashMla('command/bench/rotation.js');
const { benchOperations } = await flashMla('ops/operation-tools.js');
const launch = await flashMla('ops/attention/cuda/sm90/sm90_sparse_decode_launch.js');
const { hopperSparseDecode, runs, scheduleOf } = launch;

const simulated = values.device.startsWith('sim');
const v32 = (options) => ({ kvLayout: 'v32', topk: 2048, ...options });
const bf16 = (options) => ({ kvLayout: 'bf16', topk: 2048, sK: 16384, ...options });
const model1 = (options) => ({ kvLayout: 'model1', sK: 16384, topk: 128, ...options });
const problems = simulated
  ? [v32, bf16].map((of) => of({ b: 1, sQ: 1, hQ: 64, sK: 256, topk: 128 }))
  : [
      v32({ b: 128, sQ: 2, hQ: 128 }),
      v32({ b: 64, sQ: 2, hQ: 128 }),
      v32({ b: 128, sQ: 1, hQ: 128 }),
      v32({ b: 16, sQ: 1, hQ: 128 }),
      v32({ b: 128, sQ: 1, hQ: 64 }),
      v32({ b: 128, sQ: 2, hQ: 128, topk: 16384, sK: 32768 }),
      v32({ b: 128, sQ: 2, hQ: 64, topk: 16384, sK: 32768 }),
      v32({ b: 1, sQ: 1, hQ: 128 }),
      v32({ b: 2, sQ: 2, hQ: 128 }),
      model1({ b: 128, sQ: 2, hQ: 64, extraTopk: 512 }),
      model1({ b: 128, sQ: 2, hQ: 128, extraTopk: 1024 }),
      model1({ b: 128, sQ: 2, hQ: 128, extraTopk: 1024, extraLen: true }),
      model1({ b: 148, sQ: 2, hQ: 128, topk: 16384, sK: 32768 }),
      bf16({ b: 128, sQ: 2, hQ: 128 }),
      bf16({ b: 128, sQ: 1, hQ: 64 }),
      v32({ b: 128, sQ: 1, hQ: 32 }),
      v32({ b: 128, sQ: 1, hQ: 16 }),
    ];

const { plan } = hopperSparseDecode;
const variants = [
  { name: 'portable', isUsed: false },
  { name: 'warp groups', isUsed: true },
  { name: 'with prefetch', isUsed: true, config: { prefetches: true } },
];

let variant;
// Rows and heads do not decide: what is measured is whether they should.
hopperSparseDecode.accepts = (problem) => variant.isUsed && runs(problem);
hopperSparseDecode.traits = (shape, limits) =>
  variant.isUsed ? scheduleOf(shape, limits) : undefined;
hopperSparseDecode.plan = (problem, limits) => {
  const chosen = plan(problem, limits);
  const { main } = chosen.launches;
  const config = { ...main.config, ...variant.config };
  return { ...chosen, launches: { ...chosen.launches, main: { ...main, config } } };
};

const operation = benchOperations['sparse-decode'];
const results = [];
for (const options of problems) {
  const label = Object.entries(options)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
  if (!label.includes(values.only)) continue;
  const row = { ...options };
  for (variant of variants) {
    // A device of its own: launches are planned once for a problem.
    const device = await openDevice(values.device);
    try {
      const problem = operation.problem(options, 'gpu');
      const { copies, calls } = simulated
        ? { copies: 1, calls: 1 }
        : rotation(device, problem, 'auto');
      const prepared = await operation.prepare(device, problem, copies);
      const samples = simulated ? { samples: 1, settleSeconds: 0 } : {};
      const { us } = await measure(device, prepared, { copies, calls, ...samples });
      row[variant.name] = us;
      const rate = `${(problem.flops / us / 1e6).toFixed(0)} TFLOP/s`;
      console.log(`${label.padEnd(50)} ${variant.name.padEnd(18)} ${us.toFixed(1)} us  ${rate}`);
      prepared.dispose();
    } finally {
      await device[Symbol.asyncDispose]();
    }
  }
  results.push(row);
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, undefined, 1)}\n`);
