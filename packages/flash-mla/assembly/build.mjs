// Compiles the kernels to packages/flash-mla/wasm, with and without relaxed SIMD (fused multiply-add), and
// writes each into a module of its own: a bundler follows an import where it may lose a file. What the kernels
// read of the host's comes from the library, which must have been built before.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { main } from 'assemblyscript/asc';
import { generate } from './generate.mjs';

const here = dirname(fileURLToPath(import.meta.url));

/** Node reserves 4 GiB at most; one page less keeps every end address below 2^32. */
const maximumPages = 65535;

async function compile(name, options) {
  const outFile = join('..', 'wasm', `${name}.wasm`);
  const { error, stderr } = await main(
    [
      'index.ts',
      ...['--baseDir', here, '--outFile', outFile, '--runtime', 'stub', '--use', 'abort='],
      ...['--optimizeLevel', '3', '--noAssert', '--importMemory', '--sharedMemory', '--initialMemory', '1'],
      ...['--maximumMemory', String(maximumPages), '--enable', 'simd', '--enable', 'threads'],
      ...options,
    ],
  );
  if (error) throw new Error(`${name}: ${error.message}\n${stderr.toString()}`);
}

/** The module that holds a build: its bytes, and where they say that the imported memory is shared. */
function embed(name) {
  const folder = join(here, '..', 'wasm');
  const bytes = readFileSync(join(folder, `${name}.wasm`));
  const memoryImport = Buffer.from('\x03env\x06memory\x02\x03', 'latin1');
  const at = bytes.indexOf(memoryImport);
  if (at < 0) throw new Error(`${name}: no shared memory import`);
  const memoryFlags = at + memoryImport.length - 1;
  writeFileSync(
    join(folder, `${name}.js`),
    `export const memoryFlags = ${memoryFlags};\nexport const base64 =\n  '${bytes.toString('base64')}';\n`,
  );
}

if (isMainThread) {
  mkdirSync(join(here, '..', 'wasm'), { recursive: true });
  await generate(join(here, '..', 'dist'), join(here, 'generated'));
  const builds = [
    ['cpu-relaxed', ['--enable', 'relaxed-simd']],
    ['cpu-plain', []],
  ];
  await Promise.all(
    builds.map(
      (workerData) =>
        new Promise((resolve, reject) => {
          const worker = new Worker(new URL(import.meta.url), { workerData });
          worker.once('error', reject);
          worker.once('exit', resolve);
        }),
    ),
  );
  for (const [name] of builds) embed(name);
} else {
  await compile(...workerData);
}
