// Times tiles of the portable e4m3 dense decode for few query rows, whether selection would choose them
// or not, against bf16, against keys that are converted in shared memory, and on Hopper against warp
// groups. Needs a build:
//   node bench/cuda/decode-tiles.mjs [--device sim:2] [--b 128] [--h-q 16] [--s-k 8192] [--json FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flashMla } from './app.mjs';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    b: { type: 'string' },
    'h-q': { type: 'string', default: '16' },
    's-k': { type: 'string' },
    json: { type: 'string' },
  },
});
const { openDevice } = await flashMla('index.js');
const { measure } = await flashMla('command/bench/measure.js');
const { rotation } = await flashMla('command/bench/rotation.js');
const { benchOperations } = await flashMla('ops/operation-tools.js');
const launches = (name) => flashMla(`ops/attention/cuda/${name.slice(0, 4)}/${name}_launch.js`);
const { portableDenseDecode } = await launches('sm80_dense_decode');
const { e4m3DenseDecode } = await launches('sm90_e4m3_dense_decode');

const simulated = values.device.startsWith('sim');
/** Each warp multiplies all of the depth. */
const wholeDepth = { depthParts: 1, sharedQuerySteps: 8 };
const candidates = [
  { name: 'bf16', dtype: 'bf16' },
  { name: 'e4m3, as selection has it', selected: true },
  { name: 'e4m3, the portable choice' },
  { name: 'e4m3, converted in shared memory', sm: 88 },
  ...[3, 5].map((stages) => ({ tile: { stages } })),
  ...[0, 1, 3, 4].map((lateValueSteps) => ({ tile: { lateValueSteps } })),
  ...[0, 1, 2].map((loadsAhead) => ({ tile: { loadsAhead } })),
  { tile: { lateValueSteps: 0, loadsAhead: 0 } },
  ...[0, 1].flatMap((loadsAhead) =>
    [0, 2].map((lateValueSteps) => ({ tile: { ...wholeDepth, lateValueSteps, loadsAhead } })),
  ),
];

let trial;

// On Hopper e4m3 goes to warp groups: what is on trial must pass them by, its schedule as well.
const { accepts, traits } = e4m3DenseDecode;
e4m3DenseDecode.accepts = (problem) => trial.selected && accepts(problem);
e4m3DenseDecode.traits = (shape, limits) => (trial.selected ? traits(shape, limits) : undefined);

// The plan of a problem with the tile that is on trial instead of the chosen one.
const { plan } = portableDenseDecode;
portableDenseDecode.plan = (problem, limits) => {
  const chosen = plan(problem, trial.sm ? { ...limits, sm: trial.sm } : limits);
  const { main } = chosen.launches;
  const config = { ...main.config, tile: { ...main.config.tile, ...trial.tile } };
  return { ...chosen, launches: { ...chosen.launches, main: { ...main, config } } };
};

const operation = benchOperations['dense-decode'];
const results = [];
const lines = [];
for (trial of candidates) {
  const { dtype = 'e4m3', tile } = trial;
  const named = Object.entries(tile ?? {}).map(([key, value]) => `${key} ${value}`);
  const name = trial.name ?? `e4m3, ${named.join(', ')}`;
  const options = {
    dtype,
    b: Number(values.b ?? (simulated ? 2 : 128)),
    hQ: Number(values['h-q']),
    sK: Number(values['s-k'] ?? (simulated ? 256 : 8192)),
  };
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
    const bf16 = results[0]?.us ?? us;
    results.push({ ...options, name, us, gigabytesPerSecond: problem.bytes / us / 1e3 });
    const rate = `${(problem.bytes / us / 1e6).toFixed(2)} TB/s`;
    lines.push(`${name.padEnd(78)} ${us.toFixed(1)} us  ${rate}  ${(bf16 / us).toFixed(2)}x bf16`);
    prepared.dispose();
  } catch (error) {
    lines.push(`${name.padEnd(78)} ${error.message}`);
  }
  await device[Symbol.asyncDispose]();
}
console.log(lines.join('\n'));
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, undefined, 1)}\n`);
