// Times tiles of dense attention, whether selection would choose them or not. Needs a build:
//   node bench/cuda/attention-tiles.mjs [--device sim] [--json FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flashMla } from './app.mjs';

const { values } = parseArgs({
  options: { device: { type: 'string', default: 'cuda' }, json: { type: 'string' } },
});
const { openDevice, flashAttnVarlenFunc } = await flashMla('index.js');
const { measure } = await flashMla('command/bench/measure.js');
const { portableDenseAttention } = await flashMla(
  'ops/attention/cuda/sm80/sm80_dense_attention_launch.js',
);
const { mhaShape, mhaShared } = await flashMla('ops/attention/cuda/sm80/mha/tile.js');

const simulated = values.device === 'sim';
const [heads, length] = simulated ? [1, 128] : [32, 4096];
const problems = [
  { dQk: 192, dV: 128, hKv: heads, causal: false },
  { dQk: 192, dV: 128, hKv: heads, causal: true },
  { dQk: 128, dV: 128, hKv: heads, causal: false },
  { dQk: 128, dV: 128, hKv: Math.ceil(heads / 8), causal: true },
  { dQk: 64, dV: 64, hKv: heads, causal: false },
];
const candidates = [4, 8].flatMap((warps) => [
  { warps, rowTiles: 1, tokens: 32, query: 'registers' },
  { warps, rowTiles: 1, tokens: 64, query: 'registers' },
  { warps, rowTiles: 2, tokens: 32, query: 'shared' },
  { warps, rowTiles: 2, tokens: 64, query: 'shared' },
]);

// The plan of a problem with the tile that is on trial instead of the chosen one.
let trial;
const { plan } = portableDenseAttention;
portableDenseAttention.plan = (problem, limits) => {
  const chosen = plan(problem, limits);
  if (trial === undefined) return chosen;
  const { main } = chosen.launches;
  const rows = (problem.maxSeqLenQ * problem.numHeadsQ) / problem.numHeadsKv;
  const tile = { ...main.config.tile, ...trial };
  const grid = [Math.ceil(rows / mhaShape(tile).rows) * problem.batch, main.grid[1], 1];
  return { ...chosen, launches: { main: { ...main, config: { ...main.config, tile }, grid } } };
};

const device = await openDevice(values.device);
const results = [];
for (const { dQk, dV, hKv, causal } of problems) {
  const element = 'bf16';
  const tensor = (shape) => {
    const made = device.empty(shape, element);
    const count = shape.reduce((a, b) => a * b, 1);
    // Between −1 and 1, and repeating: nothing that time depends on.
    const data = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
      const hash = Math.imul(i + 1, 2654435761) >>> 8;
      data[i] = 0x3c00 + (hash & 0x37f) + (hash & 0x8000);
    }
    made.write(data);
    return made;
  };
  const q = tensor([length, heads, dQk]);
  const k = tensor([length, hKv, dQk]);
  const v = tensor([length, hKv, dV]);
  const offsets = device.tensor([0, length], [2], 'i32');
  const out = device.empty([length, heads, dV], element);
  const lse = device.empty([heads, length], 'f32');
  const pairs = causal ? (length * (length + 1)) / 2 : length * length;
  const flops = 2 * pairs * heads * (dQk + dV);
  let round = 0;
  for (const candidate of [undefined, ...candidates]) {
    const tile = { element, headDimQk: dQk, headDimV: dV, ...candidate };
    const bytes = candidate && mhaShared(tile).bytes;
    if (candidate && bytes > 232_448) continue;
    trial = candidate;
    // Another scale is another problem, which is planned anew.
    const softmaxScale = 1 / Math.sqrt(dQk) + ++round * 1e-6;
    const sizes = { maxSeqlenQo: length, maxSeqlenKv: length, causal, softmaxScale, out, lse };
    const prepared = {
      enqueue: () =>
        flashAttnVarlenFunc({ q, k, v, cuSeqlensQo: offsets, cuSeqlensKv: offsets, ...sizes }),
    };
    const options = { copies: 1, calls: 2, samples: 7, settleSeconds: 0.1, budgetSeconds: 0.3 };
    const name = candidate ? Object.values(candidate).join(' ') : 'chosen';
    try {
      const { us } = await measure(device, prepared, options);
      const tflops = flops / us / 1e6;
      results.push({ dQk, dV, hKv, causal, tile: candidate ?? 'chosen', us, tflops });
      const problem = `${dQk}/${dV} ${heads}:${hKv}${causal ? ' causal' : ''}`;
      console.log(
        `${problem.padEnd(22)} ${name.padEnd(18)} ${us.toFixed(0)} us ${tflops.toFixed(0)} TFLOP/s`,
      );
    } catch (error) {
      console.log(`${name}: ${error.message}`);
    }
  }
  for (const each of [q, k, v, offsets, out, lse]) each.dispose();
}
await device[Symbol.asyncDispose]();
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, undefined, 1)}\n`);
