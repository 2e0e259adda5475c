// Times sparse decodes with and without a combine that starts before the kernel ahead of it ends. The
// simulated device is too old for that: it runs the same kernels twice. Needs a build:
//   node bench/cuda/overlap.mjs [--device sim] [--json FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flashMla } from './app.mjs';

const { values } = parseArgs({
  options: { device: { type: 'string', default: 'cuda' }, json: { type: 'string' } },
});
const { openDevice } = await flashMla('index.js');
const { measure } = await flashMla('command/bench/measure.js');
const { benchOperations } = await flashMla('ops/operation-tools.js');
const { portableSparseDecode: sparseDecode } = await flashMla(
  'ops/attention/cuda/sm80/sm80_sparse_decode_launch.js',
);

const simulated = values.device === 'sim';
const problems = simulated
  ? [{ b: 1, sQ: 1, hQ: 16, sK: 256, topk: 256, kvLayout: 'v32' }]
  : [
      { b: 1, sQ: 1, hQ: 128, topk: 2048, kvLayout: 'v32' },
      { b: 2, sQ: 2, hQ: 128, topk: 2048, kvLayout: 'v32' },
      { b: 64, sQ: 2, hQ: 128, topk: 2048, kvLayout: 'v32' },
      { b: 128, sQ: 1, hQ: 64, topk: 2048, kvLayout: 'v32' },
      { b: 128, sQ: 2, hQ: 64, sK: 16384, topk: 128, extraTopk: 512, kvLayout: 'model1' },
      { b: 128, sQ: 2, hQ: 128, sK: 16384, topk: 128, extraTopk: 1024, kvLayout: 'model1' },
      { b: 148, sQ: 2, hQ: 128, sK: 32768, topk: 16384, kvLayout: 'model1' },
    ];

let overlaps = false;
const { plan } = sparseDecode;
sparseDecode.plan = (problem, limits) => {
  const chosen = plan(problem, limits);
  const { main, combine } = chosen.launches;
  if (!combine) return chosen;
  return {
    ...chosen,
    launches: {
      main: { ...main, config: { ...main.config, releasesNext: overlaps } },
      combine: { ...combine, config: { ...combine.config, overlaps }, overlap: overlaps },
    },
  };
};

const operation = benchOperations['sparse-decode'];
const results = [];
for (const options of problems) {
  const times = [];
  for (overlaps of simulated ? [false, false] : [false, true]) {
    // A device of its own: launches are planned once for a problem.
    const device = await openDevice(values.device);
    const problem = operation.problem(options, 'gpu');
    const prepared = await operation.prepare(device, problem, 1);
    const { us } = await measure(device, prepared, {
      copies: 1,
      calls: simulated ? 1 : 20,
      samples: simulated ? 1 : 15,
      settleSeconds: 0.1,
      budgetSeconds: 0.5,
    });
    times.push(us);
    prepared.dispose();
    await device[Symbol.asyncDispose]();
  }
  const [apart, overlapped] = times;
  results.push({ ...options, apart, overlapped });
  const name = Object.values(options).join(' ').padEnd(34);
  console.log(`${name} ${apart.toFixed(2)} us apart, ${overlapped.toFixed(2)} us overlapped`);
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, undefined, 1)}\n`);
