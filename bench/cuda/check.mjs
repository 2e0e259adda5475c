// Goes through everything that the CUDA backend asks of a driver, on a real GPU, and measures what it
// costs. Needs a build, nothing else:
//   node bench/cuda/check.mjs [--device sim] [--only TEXT] [--json FILE]
// `--only` runs the steps whose name contains the text. Exits 1 if a step failed. With `--device sim` the same steps run on the simulated driver.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDriver } from './app.mjs';
import { backendSteps } from './check-backend.mjs';
import { driverSteps } from './check-driver.mjs';
import { faultSteps } from './check-faults.mjs';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
});

const cache = mkdtempSync(join(tmpdir(), 'flash-mla-check-'));
process.env.FLASH_MLA_CACHE_DIR = cache;
const began = performance.now();
const driver = await openDriver(values.device);
const opened = performance.now() - began;
const facts = driver.deviceFacts(0);
console.log(`${facts.name}, CUDA ${driver.version}, driver opened in ${opened.toFixed(0)} ms`);

const results = [];
const simulated = values.device === 'sim';
const steps = [...driverSteps, ...backendSteps, ...faultSteps];
for (const [name, step] of steps.filter(([name]) => name.includes(values.only))) {
  const start = performance.now();
  let result;
  try {
    result = { name, ok: true, ...(await step({ driver, facts, simulated })) };
  } catch (error) {
    result = { name, ok: false, error: error instanceof Error ? error.stack : String(error) };
  }
  result.ms = Math.round(performance.now() - start);
  results.push(result);
  const { ok, error, name: _, ms, ...figures } = result;
  const text = Object.entries(figures).map(([key, value]) => `${key} ${value}`);
  console.log(
    `${ok ? 'ok  ' : 'FAIL'} ${name} (${ms} ms)${text.length ? `: ${text.join(', ')}` : ''}`,
  );
  if (error) console.log(error.replace(/^/gm, '     '));
}
rmSync(cache, { recursive: true, force: true });

const failed = results.filter(({ ok }) => !ok).length;
console.log(`${results.length - failed} ok, ${failed} failed`);
if (values.json) writeFileSync(values.json, JSON.stringify({ facts, results }, null, 1));
if (results.length === 0) console.log(`no step is called '${values.only}'`);
process.exit(failed > 0 || results.length === 0 ? 1 : 0);
