// The kernel of docs/writing-kernels.md from build to launch, on a driver alone. Needs a build:
//   node bench/cuda/rms-norm.mjs [--device sim] [--rows N] [--columns N]
// Exits 1 if an answer is wrong.
import { parseArgs } from 'node:util';
import { core, openDriver, ptx } from './app.mjs';
import { download, prepare, sourceOf, upload } from './kernel.mjs';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    rows: { type: 'string' },
    columns: { type: 'string', default: '1536' },
  },
});
const isSimulated = values.device === 'sim';
const rows = Number(values.rows ?? (isSimulated ? 40 : 40_000));
const columns = Number(values.columns);
const { rmsNorm } = await ptx('examples/rms_norm.js');
const { decodeBf16, encodeBf16 } = await core();

const driver = await openDriver(values.device);
const facts = driver.deviceFacts(0);
const context = driver.openContext(0);
const stream = context.createStream();

// Compiled by the driver, or found in the cache on disk.
const source = await sourceOf(rmsNorm({ columns }), `sm_${facts.sm}`);
const kernel = context.loadKernel(source);
console.log(`${facts.name}: ${kernel.registers} registers, ${kernel.localBytes} bytes spilled`);

const noise = (count, seed) => {
  const some = Uint16Array.from({ length: 9973 }, (_, i) => encodeBf16(Math.sin(i * seed)));
  return new Uint16Array(count).map((_, i) => some[i % some.length]);
};
const bytesOf = (array) => new Uint8Array(array.buffer);
const [x, weight] = [noise(rows * columns, 12.9), noise(columns, 78.2)];
const epsilon = 1e-6;
const target = upload(context, stream, new Uint8Array(rows * columns * 2));
const run = prepare(context, source, kernel, stream, [rows, 1, 1], {
  x: upload(context, stream, bytesOf(x)),
  weight: upload(context, stream, bytesOf(weight)),
  y: target,
  epsilon,
});
run.run();

const y = new Uint16Array(download(context, stream, target, rows * columns * 2).buffer);
let worst = 0;
for (let row = 0; row < rows; row += Math.max(1, Math.floor(rows / 100))) {
  const from = Array.from(x.subarray(row * columns, (row + 1) * columns), decodeBf16);
  const scale = 1 / Math.sqrt(from.reduce((sum, v) => sum + v * v, 0) / columns + epsilon);
  from.forEach((v, i) => {
    const expected = v * scale * decodeBf16(weight[i]);
    const error = Math.abs(decodeBf16(y[row * columns + i]) - expected);
    worst = Math.max(worst, error / Math.max(Math.abs(expected), 1e-3));
  });
}
console.log(`largest relative error ${worst.toExponential(1)}, a bf16 rounds by 3.9e-3 at most`);
if (!(worst < 2 ** -8 * 1.01)) process.exitCode = 1;

const [begin, end] = [context.createEvent(true), context.createEvent(true)];
const times = [];
for (let i = 0; i < (isSimulated ? 1 : 20); i++) {
  context.recordEvent(begin, stream);
  run.run();
  context.recordEvent(end, stream);
  context.synchronizeEvent(end);
  times.push(context.elapsedMs(begin, end));
}
const ms = times.sort((a, b) => a - b)[times.length >> 1];
const rate = (2 * rows * columns * 2) / ms / 1e6;
console.log(`${rows} × ${columns}: ${(ms * 1000).toFixed(1)} µs, ${rate.toFixed(0)} GB/s`);
context.destroyStream(stream);
context.close();
