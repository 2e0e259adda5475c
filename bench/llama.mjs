// `npm run bench -- llama`: the demo model in this library and in llama.cpp, on the processor, in turns in one
// process. The model is converted here, and both must give the same tokens before anything is timed.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machineFacts, packageVersion } from '../packages/flash-mla/dist/command/machine.js';
import { root } from '../scripts/workspace.mjs';
import { convert } from './llama/convert.mjs';
import { Ours } from './llama/ours.mjs';
import { installLlama, Llama, llamaVersion } from './llama/theirs.mjs';
import { commit } from './peers/commit.mjs';
import { median } from './peers/timing.mjs';

const help = `Usage: npm run bench -- llama [--threads N] [--rounds N] [--tokens N] [--out FILE]

The demo model in bf16, in this library and in llama.cpp ${llamaVersion}, in turns. Installs node-llama-cpp into
node_modules/.cache on first use. Of llama.cpp's decodes the better of one thread and of N counts.`;

const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '64' },
    out: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const [threads, rounds, tokens] = [values.threads, values.rounds, values.tokens].map(Number);
if (![threads, rounds, tokens].every((n) => Number.isInteger(n) && n >= 1) || tokens < 2) {
  console.error(`Counts are integers from 1, tokens from 2.\n${help}`);
  process.exit(2);
}

installLlama();
const folder = join(root, 'packages', 'tales');
const temporary = mkdtempSync(join(tmpdir(), 'flash-mla-llama-'));
const gguf = join(temporary, 'tales.gguf');
try {
  await convert(folder, gguf);
  const { vocab_size: vocabSize } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const ours = await Ours.open(folder, threads);
  const theirs = await Llama.open(gguf);
  const question = ours.encode('Tell me a tale with a duck.');
  const same = await agree(ours, theirs, question);
  const rows = [];
  for (const problem of problems(vocabSize)) rows.push(await measure(ours, theirs, problem));
  const { kernels } = ours;
  await ours.dispose();
  await theirs.dispose();
  rows.push(await firstTokens(question));
  const result = {
    ...{ date: new Date().toISOString(), commit: commit(), machine: machineFacts() },
    versions: { 'flash-mla': packageVersion(), 'node-llama-cpp': llamaVersion },
    ...{ model: '@flash-mla/tales', dtype: 'bf16', threads, kernels, sameTokens: same, rows },
  };
  const name = `llama-tales-cpu-${result.date.slice(0, 10)}.json`;
  const file = values.out ?? join(root, 'bench', 'results', name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
  console.log(`\nkept in ${file}`);
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
// llama.cpp keeps its threads.
process.exit(0);

/** Throws where the two do not say the same. */
async function agree(ours, theirs, question) {
  const count = 80;
  const [mine, other] = [
    await ours.greedy(question, count),
    await theirs.greedy(question, count, threads),
  ];
  const at = mine.findIndex((token, i) => token !== other[i]);
  if (at !== -1) throw new Error(`Token ${at} is ${mine[at]} here and ${other[at]} in llama.cpp.`);
  console.log(`the same ${mine.length} greedy tokens`);
  return mine.length;
}

/** What is measured, and by how much this library is to be faster. */
function problems(vocabSize) {
  // Of a fixed seed. No prompt begins like another one, which would be in the cache.
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
  const prompt = (length) => Array.from({ length }, () => 20 + (random() % (vocabSize - 500)));
  const decode = (name, bar, context, count) => ({
    ...{ name, bar, prompts: () => Array.from({ length: count }, () => prompt(context)) },
    ours: (ours, prompts) => ours.decode(prompts, tokens),
    theirs: async (theirs, prompts) => {
      const rates = [];
      for (const n of new Set([1, threads])) rates.push(await theirs.decode(prompts, tokens, n));
      return Math.max(...rates);
    },
  });
  return [
    {
      ...{ name: 'prefill, 512 tokens', bar: 4, prompts: () => [prompt(512)] },
      ours: (ours, [own]) => ours.prefill(own),
      theirs: (theirs, [own]) => theirs.prefill(own, threads),
    },
    decode('decode, context 256', 1.5, 256, 1),
    decode('decode, context 3000', 4, 3000, 1),
    decode('decode of 8, context 256', 2, 256, 8),
  ];
}

/** In turns, so that a slower moment of the machine meets both. The first round warms up. */
async function measure(ours, theirs, { name, bar, prompts, ours: own, theirs: other }) {
  const rates = { ours: [], theirs: [] };
  for (let round = 0; round <= rounds; round++) {
    const [mine, peer] = [await own(ours, prompts()), await other(theirs, prompts())];
    if (round === 0) continue;
    rates.ours.push(mine);
    rates.theirs.push(peer);
  }
  const row = { name, unit: 'tokens/s', bar };
  for (const [side, all] of Object.entries(rates)) {
    row[side] = { best: Math.max(...all), median: median(all) };
  }
  row.ratio = row.ours.best / row.theirs.best;
  row.medianRatio = row.ours.median / row.theirs.median;
  const { ours: a, theirs: b } = row;
  const met = row.ratio >= bar ? 'met' : 'missed';
  const rate = ({ best, median: middle }) => `${best.toFixed(0)} (${middle.toFixed(0)})`;
  console.log(
    `${name}: ${rate(a)} against ${rate(b)} tokens/s, best (median): ${row.ratio.toFixed(2)}×, at least ${bar}×: ${met}`,
  );
  return row;
}

/** From the start of a process to its first output. */
async function firstTokens(question) {
  const command = join(root, 'packages', 'flash-mla', 'bin', 'flash-mla.js');
  const text = ['--prompt', 'Tell me a tale with a duck.', '--max-tokens', '1', '--device', 'cpu'];
  const child = fileURLToPath(new URL('llama/first-token.mjs', import.meta.url));
  const times = { ours: [], theirs: [] };
  for (let round = 0; round <= rounds; round++) {
    const mine = await firstOutput([command, 'generate', ...text]);
    const peer = await firstOutput([child, gguf, ...question.map(String)]);
    if (round === 0) continue;
    times.ours.push(mine);
    times.theirs.push(peer);
  }
  const row = { name: 'process start to first token', unit: 's', bar: 0.8 };
  for (const [side, all] of Object.entries(times)) {
    row[side] = { best: Math.min(...all), median: median(all) };
  }
  const { ours: a, theirs: b } = row;
  const met = a.best <= row.bar ? 'met' : 'missed';
  console.log(
    `${row.name}: ${a.best.toFixed(2)} (${a.median.toFixed(2)}) against ${b.best.toFixed(2)} (${b.median.toFixed(2)}) s, at most ${row.bar} s: ${met}`,
  );
  return row;
}

function firstOutput(args) {
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let seconds;
    process_.stdout.on('data', () => {
      seconds ??= (performance.now() - begin) / 1e3;
    });
    process_.on('error', reject);
    process_.on('exit', (code) => {
      if (seconds === undefined || code !== 0) reject(new Error(`${args.join(' ')}: exit ${code}`));
      else resolve(seconds);
    });
  });
}
