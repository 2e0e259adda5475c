// Records what a GPU answers to the golden kernels of @flash-mla/ptx, or compares with what is kept.
//   node bench/cuda/record-goldens.mjs record FILE [FAMILY...]
//                                                       these families or all, in one file; exits 1 if
//                                                       a kernel failed, and keeps what the others say
//   node bench/cuda/record-goldens.mjs unpack FILE DIR  FILE into one file per family, as kept in
//                                                       packages/ptx/src/golden; leaves out families
//                                                       of which an answer is missing
//   node bench/cuda/record-goldens.mjs compare DIR      exits 1 where the GPU answers otherwise
//   node bench/cuda/record-goldens.mjs simulate         says where the simulator answers otherwise
//                                                       (approximate functions and sums may)
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ptx } from './app.mjs';
import { answersOfDevice, simulatedAnswers } from './golden-answers.mjs';

const [action, path, ...rest] = process.argv.slice(2);

async function record(file, only) {
  const { goldenFile, goldenFileName } = await ptx('golden/index.js');
  const { device, families, failed } = await answersOfDevice(only);
  const answered = [...families].filter(([, cases]) => cases.size > 0);
  const files = Object.fromEntries(
    answered.map(([family, cases]) => [goldenFileName(family), goldenFile(device, cases)]),
  );
  writeFileSync(file, JSON.stringify(files));
  console.log(`${device}: ${answered.length} families in ${file}`);
  if (failed.length > 0) console.log(`${failed.length} kernels failed: ${failed.join('; ')}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

async function unpack(file, target) {
  const { goldenFamilies, goldenFileName, goldenKernels, parseGoldenFile } =
    await ptx('golden/index.js');
  mkdirSync(target, { recursive: true });
  const files = JSON.parse(readFileSync(file, 'utf8'));
  for (const family of goldenFamilies()) {
    const name = goldenFileName(family);
    if (files[name] === undefined) continue;
    const { answers } = parseGoldenFile(files[name]);
    const missing = goldenKernels().filter(
      (golden) => golden.family === family && !answers.has(golden.name),
    );
    if (missing.length > 0) {
      console.log(
        `left out: ${name} has no answer to ${missing.map(({ name }) => name).join('; ')}`,
      );
    } else writeFileSync(join(target, name), files[name]);
  }
}

async function compare(kept) {
  const { goldenFileName, parseGoldenFile } = await ptx('golden/index.js');
  const { families, failed } = await answersOfDevice();
  let different = failed.length;
  let equal = 0;
  for (const [family, cases] of families) {
    const file = join(kept, goldenFileName(family));
    if (!existsSync(file)) {
      console.log(`not recorded: ${family}`);
      different += cases.size;
      continue;
    }
    const text = readFileSync(file, 'utf8');
    const { answers: expected } = parseGoldenFile(text);
    for (const [name, outputs] of cases) {
      const same = outputs.every((output, i) => {
        return Buffer.compare(output, expected.get(name)?.[i] ?? Buffer.alloc(0)) === 0;
      });
      if (same) equal++;
      else console.log(`differs: ${family}/${name}`);
      if (!same) different++;
    }
  }
  console.log(`${equal} equal, ${different} different`);
  process.exitCode = different > 0 ? 1 : 0;
}

async function simulate() {
  const { families } = await answersOfDevice();
  const simulated = await simulatedAnswers();
  for (const [family, cases] of families) {
    const names = [...cases].flatMap(([name, outputs]) => {
      const expected = simulated.get(family)?.get(name);
      const same = outputs.every((output, i) => Buffer.compare(output, expected?.[i]) === 0);
      return same ? [] : [name];
    });
    console.log(
      `${family}: ${cases.size - names.length} equal${names.map((n) => `; ${n}`).join('')}`,
    );
  }
}

if (action === 'simulate') await simulate();
else if (action === 'record' && path) await record(path, rest);
else if (action === 'unpack' && path && rest[0]) await unpack(path, rest[0]);
else if (action === 'compare' && path) await compare(path);
else {
  console.error(
    'usage: record-goldens.mjs record FILE [FAMILY...] | unpack FILE DIR | compare DIR | simulate',
  );
  process.exitCode = 2;
}
