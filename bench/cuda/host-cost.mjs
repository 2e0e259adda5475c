// What an enqueued call costs the host, and which layer takes it. Needs a build:
//   node bench/cuda/host-cost.mjs                  a driver that does nothing: this library alone
//   node bench/cuda/host-cost.mjs --device cuda    a GPU: the driver's launches included
// With the driver that does nothing, `--path` prints the functions that a launch comes through.
// `--json FILE` keeps the figures; `--at-most MICROSECONDS` exits 1 if the median call takes longer.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flashMla, openDriver } from './app.mjs';
import { decodeProblem, openDevice } from './check-backend.mjs';
import { openNullDriver } from './null-driver.mjs';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'null' },
    calls: { type: 'string', default: '3000' },
    json: { type: 'string' },
    'at-most': { type: 'string' },
    path: { type: 'boolean', default: false },
  },
});
if (values.device !== 'null' && values.device !== 'cuda') {
  console.error(
    `--device ${values.device}: null or cuda, since a simulated kernel runs on the host`,
  );
  process.exit(1);
}
const calls = Number(values.calls);
const warmUp = 20_000;
/** Where each launch comes from, while somebody asks. */
let launches;
const watch = (symbol) => {
  if (launches && symbol.startsWith('cuLaunch')) launches.push(new Error().stack.split('\n'));
};
const driver =
  values.device === 'null'
    ? await openNullDriver(values.path ? watch : undefined)
    : await openDriver(values.device);
const device = await openDevice(driver);
const { denseDecode } = await flashMla('ops/attention/operations.js');
const { flashMlaWithKvCache, getMlaMetadata, Tensor } = await flashMla('index.js');

/**
 * Microseconds of each call once the JavaScript compiler has settled. The device is let finish now and
 * then, so that no call waits for room in its queue.
 */
async function measure(call) {
  const times = new Float64Array(calls);
  for (let i = -warmUp; i < calls; i++) {
    const start = process.hrtime.bigint();
    call();
    if (i >= 0) times[i] = Number(process.hrtime.bigint() - start) / 1000;
    if (i % 200 === 0) await device.synchronize();
  }
  await device.synchronize();
  times.sort();
  return { median: times[calls >> 1], p90: times[Math.floor(calls * 0.9)] };
}

const problem = await decodeProblem(device);
const [schedMeta] = getMlaMetadata();
const first = flashMlaWithKvCache({ ...problem, schedMeta });
await device.synchronize();

if (values.path) {
  flashMlaWithKvCache({ ...problem, schedMeta });
  Error.stackTraceLimit = 60;
  launches = [];
  flashMlaWithKvCache({ ...problem, schedMeta });
  for (const stack of launches) {
    // Less the driver that does nothing, and this file.
    const functions = stack.slice(1).filter((line) => line.includes('/packages/'));
    console.log(`${functions.length} functions from the call to the driver's, both included:`);
    console.log(functions.reverse().join('\n'));
  }
  launches = undefined;
}
const { q, kCache, blockTable, cacheSeqlens } = problem;
const more = { headDimV: 512, causal: true };
const args = {
  q,
  kCache,
  blockTable,
  seqlens: cacheSeqlens,
  headDimV: 512,
  softmaxScale: 1 / Math.sqrt(576),
  causal: true,
  descaleQ: undefined,
  descaleK: undefined,
  schedule: schedMeta.tileSchedulerMetadata.schedule,
  out: first.out,
  lse: first.lse,
};
const wholeCall = 'the call; outputs allocated and freed';
const rows = {};
rows[wholeCall] = await measure(() => {
  const { out, lse } = flashMlaWithKvCache({
    q,
    kCache,
    blockTable,
    cacheSeqlens,
    headDimV: 512,
    causal: true,
    schedMeta,
  });
  out.dispose();
  lse.dispose();
});
rows['… options spread from two objects'] = await measure(() => {
  const { out, lse } = flashMlaWithKvCache({
    q,
    kCache,
    blockTable,
    cacheSeqlens,
    ...more,
    schedMeta,
  });
  out.dispose();
  lse.dispose();
});
rows['of it: tensors of both outputs'] = await measure(() => {
  const out = Tensor.allocate(device, [4, 1, 16, 512], 'bf16');
  const lse = Tensor.allocate(device, [4, 16, 1], 'f32');
  out.dispose();
  lse.dispose();
});
rows['of it: the backend, launches included'] = await measure(() => {
  device.backend.run(denseDecode, args);
});
const graph = device.capture(() => device.backend.run(denseDecode, args));
rows['replay of a graph of the call'] = await measure(() => graph.replay());
graph.dispose();

console.log(`${device.info.name}: microseconds of ${calls} calls, median and 90th percentile`);
for (const [name, { median, p90 }] of Object.entries(rows)) {
  console.log(`${median.toFixed(2).padStart(8)} ${p90.toFixed(2).padStart(8)}  ${name}`);
}
if (values.json) writeFileSync(values.json, JSON.stringify({ device: device.info, rows }, null, 1));
await device.dispose();
const limit = Number(values['at-most'] ?? Number.POSITIVE_INFINITY);
const { median } = rows[wholeCall];
if (median > limit) {
  console.error(`the call takes ${median.toFixed(2)} µs, more than ${limit}`);
  process.exitCode = 1;
}
