// What a program waits for until its first decode call is enqueued, compiled kernels being on disk. Needs a build:
//   node bench/cuda/first-call.mjs                  a driver that does nothing: this library alone
//   node bench/cuda/first-call.mjs --device cuda    a GPU: the driver's start included
// Milliseconds, medians of processes of their own. `--no-cache` keeps nothing on disk, so that texts are emitted.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { flashMla, openDriver } from './app.mjs';
import { decodeProblem, openDevice } from './check-backend.mjs';
import { openNullDriver } from './null-driver.mjs';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'null' },
    runs: { type: 'string', default: '9' },
    'no-cache': { type: 'boolean', default: false },
    // Of a process that is measured.
    child: { type: 'string' },
  },
});

/** Runs once; the times at which each step was done, since the process began. */
async function measure(cacheFolder) {
  const began = performance.now();
  const { flashMlaWithKvCache, getMlaMetadata } = await flashMla('index.js');
  const imported = performance.now();
  const driver =
    values.device === 'null'
      ? await openNullDriver(undefined, cacheFolder)
      : await openDriver(values.device);
  const device = await openDevice(driver);
  const opened = performance.now();
  const problem = await decodeProblem(device, { b: 4, hQ: 128 });
  const ready = performance.now();
  flashMlaWithKvCache({ ...problem, schedMeta: getMlaMetadata()[0] });
  const called = performance.now();
  await device.dispose();
  return {
    'node starts': began,
    import: imported - began,
    open: opened - imported,
    'first call': called - ready,
    total: called - (ready - opened),
  };
}

if (values.child !== undefined) {
  console.log(JSON.stringify(await measure(values.child)));
} else {
  const folder = values['no-cache'] ? '' : mkdtempSync(join(tmpdir(), 'flash-mla-first-call-'));
  const args = [fileURLToPath(import.meta.url), '--device', values.device, '--child', folder];
  const run = () => JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  // Fills the caches.
  const steps = Object.keys(run());
  const runs = Array.from({ length: Number(values.runs) }, run);
  for (const step of steps) {
    const sorted = runs.map((each) => each[step]).sort((a, b) => a - b);
    console.log(step.padEnd(12), sorted[sorted.length >> 1].toFixed(1).padStart(7));
  }
  if (folder) rmSync(folder, { recursive: true });
}
