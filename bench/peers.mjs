// `npm run bench -- peers`: this library on the processor against ONNX Runtime, and what else the
// project promises of its CPU backend. Prints each figure beside its bar and keeps them in results/.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machineFacts, packageVersion } from '../packages/flash-mla/dist/command/machine.js';
import { root } from '../scripts/workspace.mjs';
import { commit } from './peers/commit.mjs';
import { compareEngines } from './peers/dense.mjs';
import { installPeers, peers } from './peers/install.mjs';
import { importOverhead, memoryBeyond } from './peers/processes.mjs';
import { coldDecode, fp8AgainstBf16 } from './peers/rows.mjs';

const parts = ['dense-128', 'dense-16', 'cold', 'sparse', 'memory', 'import'];
const help = `Usage: npm run bench -- peers [--part PART]... [--threads N] [--rounds N] [--out FILE]

Measures the CPU backend against ONNX Runtime on the same paged decode (b=4, sK=4096, bf16 values),
and what else is promised of it. PART: ${parts.join(', ')} (default: all).
Installs onnxruntime-web and onnxruntime-node into node_modules/.cache on first use.`;

const { values } = parseArgs({
  options: {
    part: { type: 'string', multiple: true },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '9' },
    out: { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const chosen = values.part ?? parts;
const unknown = chosen.find((part) => !parts.includes(part));
const [threads, rounds] = [Number(values.threads), Number(values.rounds)];
if (unknown !== undefined || !(threads >= 1) || !(rounds >= 1)) {
  console.error(unknown === undefined ? 'Counts are numbers from 1.' : `No part '${unknown}'.`);
  console.error(help);
  process.exit(2);
}

const log = (text) => console.error(text);
const result = {
  date: new Date().toISOString(),
  commit: commit(),
  machine: machineFacts(),
  versions: { 'flash-mla': packageVersion(), ...peers },
  threads,
};
if (chosen.some((part) => part.startsWith('dense'))) installPeers();
for (const hQ of [128, 16]) {
  if (!chosen.includes(`dense-${hQ}`)) continue;
  const dense = await compareEngines(hQ, { threads, rounds, log });
  result[`dense${hQ}`] = dense;
  printDense(hQ, dense);
}
if (chosen.includes('cold')) {
  log('cold rows');
  result.cold = { 128: await coldDecode(threads, 128), 16: await coldDecode(threads, 16) };
  for (const [hQ, { us, flops, copies, rotatedBytes }] of Object.entries(result.cold)) {
    const rotated = `${copies} caches in turn, ${mebibytes(rotatedBytes)}`;
    line(`cold dense decode, hQ=${hQ}`, `${(flops / us / 1e3).toFixed(0)} GFLOP/s`, rotated);
  }
}
if (chosen.includes('sparse')) {
  log('sparse rows');
  result.sparse = await fp8AgainstBf16(threads);
  bar('sparse decode, time of fp8 (v32) over bf16 rows', result.sparse.ratio, '<=', 1.5, '×');
}
if (chosen.includes('memory')) {
  log('memory');
  result.memory = memoryBeyond();
  const mib = result.memory.deviceBeyond / 2 ** 20;
  bar('memory beyond inputs and outputs, of the device', mib, '<=', 64, ' MiB');
  line(
    '… and of the whole process',
    mebibytes(result.memory.residentBeyond),
    'resident, with Node',
  );
}
if (chosen.includes('import')) {
  log('import');
  result.import = importOverhead();
  const { bare, importing } = result.import;
  bar('import of flash-mla beyond `node -e 0`', importing - bare, '<=', 30, ' ms');
}

const file = values.out ?? join(root, 'bench', 'results', `peers-${result.date.slice(0, 10)}.json`);
mkdirSync(join(file, '..'), { recursive: true });
writeFileSync(file, `${JSON.stringify(result, null, 1)}\n`);
console.log(`\nkept in ${file}`);
// onnxruntime-web keeps its threads; nothing is left to wait for.
process.exit(0);

function printDense(hQ, dense) {
  const { gflops, bestGflops, shareOfFma, fmaGflops, fmaOf, web, node } = dense;
  console.log(`\ndense bf16 decode, b=4, sK=4096, hQ=${hQ}, ${threads} threads`);
  const rate = (name) => `${gflops[name].toFixed(0)} GFLOP/s`;
  const best = (name) => `best ${bestGflops[name].toFixed(0)}`;
  line(`flash-mla (${dense.kernels})`, rate('ours'), best('ours'));
  line('flash-mla, one thread', rate('oneThread'), best('oneThread'));
  line('flash-mla in WebAssembly', rate('wasm'), best('wasm'));
  line('… without relaxed SIMD', rate('noRelaxed'), best('noRelaxed'));
  line('onnxruntime-web', rate('web'), `${best('web')}; fastest graph: ${web.fastest}`);
  line('onnxruntime-node', rate('node'), `${best('node')}; fastest graph: ${node.fastest}`);
  line('FMA rate', `${fmaGflops.toFixed(0)} GFLOP/s`, fmaOf);
  if (hQ === 128) bar('WebAssembly, share of the FMA rate', 100 * shareOfFma, '>=', 50, ' %');
  if (hQ === 128) bar('two threads over one', dense.twoThreadsOverOne, '>=', 1.8, '×');
  bar('over WebAssembly', dense.overWasm, '>=', 1, '×');
  bar('WebAssembly over onnxruntime-web', dense.wasmOverWeb, '>=', hQ === 128 ? 1.1 : 1.3, '×');
  if (hQ === 128) {
    bar('without relaxed SIMD, over onnxruntime-web', dense.noRelaxedOverWeb, '>=', 1, '×');
  }
  line('over onnxruntime-node (native AVX)', `${dense.overNode.toFixed(2)}×`, 'no bar');
}

function bar(what, value, sense, bound, unit) {
  const met = sense === '>=' ? value >= bound : value <= bound;
  const digits = unit === '×' ? 2 : 1;
  const limit = `${sense === '>=' ? 'at least' : 'at most'} ${bound}${unit}`;
  line(what, `${value.toFixed(digits)}${unit}`, `${limit}: ${met ? 'met' : 'MISSED'}`);
}

function line(what, value, note) {
  console.log(`  ${what.padEnd(50)} ${value.padStart(14)}  ${note}`.trimEnd());
}

function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
