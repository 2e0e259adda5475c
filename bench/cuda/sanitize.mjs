// Runs the conformance suite under NVIDIA's compute-sanitizer, in shards, one line each. Needs a build
// and a GPU; compute-sanitizer comes with the CUDA toolkit.
//   node bench/cuda/sanitize.mjs                          memcheck and racecheck over the quick suite
//   node bench/cuda/sanitize.mjs --tool racecheck --filter dense-decode --jobs 2
// A shard that takes longer than `--timeout` seconds is cut in two; what has not begun within
// `--budget` seconds is not run. Exits 1 unless every case has run and nothing was found.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { flashMla, root } from './app.mjs';

const tools = {
  // Driver calls that fail are errors of this library already.
  memcheck: ['--report-api-errors', 'no'],
  racecheck: ['--racecheck-report', 'all'],
  synccheck: [],
  initcheck: [],
};
const { values } = parseArgs({
  options: {
    tool: { type: 'string', multiple: true, default: ['memcheck', 'racecheck'] },
    device: { type: 'string', default: 'cuda' },
    suite: { type: 'string', default: 'quick' },
    filter: { type: 'string' },
    shards: { type: 'string', default: '16' },
    jobs: { type: 'string', default: '4' },
    timeout: { type: 'string', default: '120' },
    budget: { type: 'string', default: '540' },
    sanitizer: { type: 'string', default: 'compute-sanitizer' },
    json: { type: 'string' },
  },
});
const unknown = values.tool.find((tool) => !(tool in tools));
if (unknown) fail(`--tool ${unknown}: known are ${Object.keys(tools).join(', ')}`);
if (spawnSync(values.sanitizer, ['--version']).error) {
  fail(
    `${values.sanitizer} does not start: it comes with the CUDA toolkit; --sanitizer takes a path`,
  );
}
const began = performance.now();
const elapsed = () => (performance.now() - began) / 1000;
const { suite, filter } = values;
const { selectCases } = await flashMla('ops/conformance/suite/suite.js');
const casesOf = (shard) => selectCases({ suite, filter, shard });
if (casesOf().length === 0) fail(`--filter ${filter}: no case of the ${suite} suite has that name`);

const scratch = mkdtempSync(join(tmpdir(), 'flash-mla-sanitize-'));
// No caching of memory: a block is exactly as large as its tensor, so that every access beyond shows.
const env = { ...process.env, FLASH_MLA_CACHE_DIR: join(scratch, 'cache'), FLASH_MLA_POOL: 'off' };
const command = join(root, 'node_modules', 'flash-mla', 'bin', 'flash-mla.js');
const selftest = [command, 'selftest', '--device', values.device, '--suite', suite];
if (filter) selftest.push('--filter', filter);

// Fills the cache of compiled kernels, and tells a wrong result from what only a sanitizer sees.
const plain = spawnSync(process.execPath, selftest, { env, encoding: 'utf8' });
if (plain.status !== 0)
  fail(`the suite fails without a sanitizer:\n${plain.stdout}${plain.stderr}`);
console.log(`ok    no tool: ${plain.stdout.trim().split('\n').at(-1)}`);

const count = Math.min(Number(values.shards), casesOf().length);
const queue = values.tool.flatMap((tool) =>
  Array.from({ length: count }, (_, index) => ({ tool, index, count })),
);
const results = [];
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
rmSync(scratch, { recursive: true, force: true });

const amount = (status) => results.filter((result) => result.status === status).length;
console.log(
  `${amount('ok')} shards clean, ${amount('FAIL')} with findings, ${amount('time')} too slow, ` +
    `${amount('late')} not run, in ${elapsed().toFixed(0)} s`,
);
if (values.json) writeFileSync(values.json, JSON.stringify(results, null, 1));
process.exitCode = amount('ok') === results.length ? 0 : 1;

/** Takes shards until none is left. */
async function work() {
  for (let shard = queue.shift(); shard !== undefined; shard = queue.shift()) {
    const left = Number(values.budget) - elapsed();
    if (left <= 0) {
      report(shard, { status: 'late', text: 'not run: the time is up' });
      continue;
    }
    const result = await run(shard, Math.min(left, Number(values.timeout)));
    const { tool, index, count } = shard;
    if (result.status === 'time' && casesOf(shard).length > 1) {
      // Every case i with i mod 2n = index or index + n is one with i mod n = index.
      queue.push(
        { tool, index, count: 2 * count },
        { tool, index: index + count, count: 2 * count },
      );
      console.log(`split ${nameOf(shard)}: longer than ${result.seconds.toFixed(0)} s`);
    } else report(shard, result);
  }
}

/** One shard under its tool. */
function run(shard, seconds) {
  const { tool, index, count } = shard;
  const log = join(scratch, `${tool}-${index}-${count}.log`);
  const options = ['--tool', tool, ...tools[tool], '--error-exitcode', '77', '--log-file', log];
  const program = [process.execPath, ...selftest, '--shard', `${index + 1}/${count}`];
  const start = performance.now();
  return new Promise((resolve) => {
    // A group of its own, so that the program ends with the sanitizer.
    const child = spawn(values.sanitizer, [...options, ...program], { env, detached: true });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => (output += text));
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      process.kill(-child.pid, 'SIGKILL');
    }, seconds * 1000);
    const done = (code, problem) => {
      clearTimeout(timer);
      const took = (performance.now() - start) / 1000;
      if (timedOut) resolve({ status: 'time', seconds: took, text: 'stopped: too slow' });
      else resolve({ ...verdict(code, problem ?? output, log), seconds: took });
    };
    child.on('error', (error) => done(-1, `${values.sanitizer}: ${error.message}`));
    child.on('close', (code) => done(code));
  });
}

/** What the tool's log and the exit status say. Without a summary nothing was checked. */
function verdict(code, output, log) {
  let lines = [];
  try {
    lines = readFileSync(log, 'utf8').split('\n');
  } catch {}
  const said = lines.map((line) => line.replace(/^=+ ?/, '').trim()).filter(Boolean);
  const summary = said.find((line) => /SUMMARY:/.test(line));
  const isClean = /SUMMARY: 0 (errors|hazards)/.test(summary ?? '');
  if (code === 0 && isClean) return { status: 'ok', text: summary };
  const finding = said.filter((line) => !/^COMPUTE-SANITIZER|SUMMARY:/.test(line)).slice(0, 12);
  const words = [summary ?? 'the sanitizer gave no summary', ...finding];
  if (code !== 0 && code !== 77) words.push(`exit status ${code}`, output.trim().slice(-1500));
  return { status: 'FAIL', text: words.join('\n      ') };
}

function report(shard, result) {
  const cases = casesOf(shard);
  const which = cases.length === 1 ? cases[0].name : `${cases.length} cases`;
  results.push({ ...shard, ...result, cases: cases.length });
  const took = result.seconds === undefined ? '' : `, ${result.seconds.toFixed(1)} s`;
  console.log(`${result.status.padEnd(5)} ${nameOf(shard)} (${which}${took}): ${result.text}`);
}

function nameOf({ tool, index, count }) {
  return `${tool} ${index + 1}/${count}`;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
