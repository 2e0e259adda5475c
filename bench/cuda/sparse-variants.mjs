// Times variants of the sparse decode kernel against each other, for every sparse row of a baseline, in
// turns on the same inputs and thus at the same clocks. Needs a build:
//   node bench/cuda/sparse-variants.mjs [--device sim] [--baseline FILE] [--json FILE]
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flashMla } from './app.mjs';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    baseline: { type: 'string', default: 'bench/baselines/flashmla-h200.json' },
    json: { type: 'string' },
  },
});
const { openDevice } = await flashMla('index.js');
const { runConformance } = await flashMla('cases/index.js');
const { median } = await flashMla('cli/bench/measure.js');
const { rotation } = await flashMla('cli/bench/rotation.js');
const { benchOperations } = await flashMla('cli/bench/operation.js');
const { sparseDecode } = await flashMla('backends/cuda/kernels/sm80_sparse_decode_launch.js');
const { canStartAhead } = await flashMla('backends/cuda/kernels/mla/attend.js');

/** What a variant changes of the launches; `combine` false: none, to see what it costs. */
const plain = { stagesResults: false, startsAhead: false };
const variants = {
  present: plain,
  staged: { ...plain, stagesResults: true },
  ahead: { ...plain, startsAhead: true },
  both: { stagesResults: true, startsAhead: true },
  'both, combine overlaps': { stagesResults: true, startsAhead: true, overlaps: true },
  'both, no combine': { stagesResults: true, startsAhead: true, combine: false },
};
let variant = 'present';

function launchesOf({ main, combine }, { overlaps, combine: keep = true, ...config }) {
  const applies = canStartAhead(main.config.tile);
  const changed = applies ? { main: { ...main, config: { ...main.config, ...config } } } : { main };
  if (!keep || !combine) return changed;
  if (!overlaps) return { ...changed, combine };
  return {
    ...changed,
    combine: { ...combine, config: { ...combine.config, overlaps }, overlap: true },
  };
}

// Launches are bound once for a problem: all variants are, and the one that is asked for is enqueued.
const { bind } = sparseDecode;
sparseDecode.bind = (context, plan, problem) => {
  const bound = Object.fromEntries(
    Object.entries(variants).map(([name, changes]) => {
      const launches = launchesOf(plan.launches, changes);
      return [name, bind(context, { ...plan, launches }, problem)];
    }),
  );
  return (args) => bound[variant](args);
};

const device = await openDevice(values.device);
const simulated = values.device !== 'cuda';
for (variant of Object.keys(variants)) {
  if (variants[variant].combine === false) continue;
  if (simulated && variant !== 'both') continue;
  let passed = 0;
  for await (const result of runConformance(device, { filter: 'sparse-decode ' })) {
    if (result.status === 'passed') passed++;
    else console.log(`${variant}: ${result.name}: ${result.message}`);
  }
  console.log(`${variant}: ${passed} cases passed`);
}

const rows = JSON.parse(readFileSync(values.baseline, 'utf8')).rows;
const operation = await benchOperations['sparse-decode']();
const problems = simulated
  ? [operation.problem({ b: 3, hQ: 64, sK: 256, topk: 128, kvLayout: 'model1' }, 'gpu')]
  : operation.suite('gpu').map((options) => operation.problem(options, 'gpu'));
const baselineOf = (row) =>
  rows.find(
    (each) =>
      each.op === row.op &&
      ['b', 's_q', 'h_q', 's_kv', 'topk', 'extra_topk', 'extra_len', 'd_qk'].every(
        (key) => each[key] === row[key],
      ),
  )?.us;

const samples = simulated ? 1 : 21;
const results = [];
for (const problem of problems) {
  const { copies, calls } = simulated ? { copies: 1, calls: 1 } : rotation(device, problem, 'auto');
  const prepared = await operation.prepare(device, problem, copies);
  const graphs = {};
  for (variant of Object.keys(variants)) {
    prepared.enqueue(0);
    graphs[variant] = device.capture(() => {
      for (let call = 0; call < calls; call++) prepared.enqueue(call % copies);
    });
  }
  await device.synchronize();
  const begin = performance.now();
  const settled = () => simulated || performance.now() - begin > 500;
  do {
    for (const graph of Object.values(graphs)) graph.replay();
    await device.synchronize();
  } while (!settled());
  const times = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
  for (let i = 0; i < samples; i++) {
    for (const [name, graph] of Object.entries(graphs)) {
      const { measurements } = device.backend;
      const seconds = simulated
        ? 1e-6 * calls
        : await measurements.deviceTime(() => graph.replay());
      times[name].push((seconds / calls) * 1e6);
    }
  }
  for (const graph of Object.values(graphs)) graph.dispose();
  prepared.dispose();
  const us = Object.fromEntries(
    Object.entries(times).map(([name, all]) => [name, median(all.sort((a, b) => a - b))]),
  );
  results.push({ ...problem.row, baseline: baselineOf(problem.row), ...us });
}
await device[Symbol.asyncDispose]();

const columns = ['baseline', ...Object.keys(variants)];
console.log(
  `\n${'us (share of the baseline)'.padEnd(40)}${columns.map((c) => c.padStart(24)).join('')}`,
);
for (const row of results) {
  const { b, s_q, h_q, topk, extra_topk, extra_len, d_qk } = row;
  const name = `b=${b} sQ=${s_q} hQ=${h_q} ${topk}+${extra_topk}${extra_len ? ' varied' : ''} d=${d_qk}`;
  const cells = columns.map((column) => {
    const us = row[column];
    if (us === undefined) return '';
    const share = row.baseline === undefined ? '' : ` (${(row.baseline / us).toFixed(3)})`;
    return `${us.toFixed(1)}${column === 'baseline' ? '' : share}`;
  });
  console.log(name.padEnd(40) + cells.map((cell) => cell.padStart(24)).join(''));
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, undefined, 1)}\n`);
