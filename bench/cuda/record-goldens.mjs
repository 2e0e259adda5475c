// Records what a GPU answers to the golden kernels of @flash-mla/ptx, or compares with what is kept.
//   node bench/cuda/record-goldens.mjs record FILE      all families, in one file
//   node bench/cuda/record-goldens.mjs unpack FILE DIR  FILE into one file per family, as kept in
//                                                       packages/ptx/src/golden
//   node bench/cuda/record-goldens.mjs compare DIR      exits 1 where the GPU answers otherwise
//   node bench/cuda/record-goldens.mjs simulate         says where the simulator answers otherwise
//                                                       (approximate functions and sums may)
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDriver, ptx } from './app.mjs';
import { download, finish, prepare, sourceOf, upload } from './kernel.mjs';

const [action, path, directory] = process.argv.slice(2);

/** The output buffers of each case of each family, by name. */
async function answers(context) {
  const { goldenKernels } = await ptx('golden/index.js');
  const stream = context.createStream();
  const families = new Map();
  for (const golden of goldenKernels()) {
    const { family, name, kernel, target, grid, buffers, maps = [] } = golden;
    const source = await sourceOf(kernel, target);
    const loaded = context.loadKernel(source);
    const addresses = buffers.map(({ bytes }) => upload(context, stream, bytes));
    const values = Object.fromEntries(buffers.map((buffer, i) => [buffer.name, addresses[i]]));
    for (const { name: map, buffer, map: description } of maps) {
      values[map] = context.encodeTensorMap({ ...description, address: values[buffer] });
    }
    prepare(context, source, loaded, stream, grid, values).run();
    finish(context, stream);
    const outputs = buffers.flatMap(({ output, bytes }, i) =>
      output ? [download(context, stream, addresses[i], bytes.length)] : [],
    );
    for (const address of addresses) context.free(address);
    context.unloadKernel(loaded);
    if (!families.has(family)) families.set(family, new Map());
    families.get(family).set(name, outputs);
  }
  return families;
}

async function answersOfDevice() {
  const driver = await openDriver(process.env.GOLDEN_DEVICE);
  const { name } = driver.deviceFacts(0);
  const device = `${name}, driver ${driver.build || driver.origin}, CUDA ${driver.version / 1000}`;
  return { device, families: await answers(driver.openContext(0)) };
}

async function record(file) {
  const { goldenFile, goldenFileName } = await ptx('golden/index.js');
  const { device, families } = await answersOfDevice();
  const files = Object.fromEntries(
    [...families].map(([family, cases]) => [goldenFileName(family), goldenFile(device, cases)]),
  );
  writeFileSync(file, JSON.stringify(files));
  console.log(`${device}: ${families.size} families in ${file}`);
}

function unpack(file, target) {
  mkdirSync(target, { recursive: true });
  for (const [name, text] of Object.entries(JSON.parse(readFileSync(file, 'utf8')))) {
    writeFileSync(join(target, name), text);
  }
}

async function compare(kept) {
  const { goldenFileName, parseGoldenFile } = await ptx('golden/index.js');
  const { families } = await answersOfDevice();
  let different = 0;
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
  const simulated = await answers((await openDriver('sim')).openContext(2));
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
else if (action === 'record' && path) await record(path);
else if (action === 'unpack' && path && directory) unpack(path, directory);
else if (action === 'compare' && path) await compare(path);
else {
  console.error('usage: record-goldens.mjs record FILE | unpack FILE DIR | compare DIR | simulate');
  process.exitCode = 2;
}
