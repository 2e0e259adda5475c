// Runs golden kernels on a device. On a GPU each family has a process of its own, because a kernel that
// faults or hangs ends the process; the next one goes on behind it.
//   node bench/cuda/golden-answers.mjs FAMILY FIRST      prints a family's answers as lines of JSON,
//                                                        from its kernel number FIRST on
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openDriver, ptx } from './app.mjs';
import { download, finish, prepare, sourceOf, upload } from './kernel.mjs';

const script = fileURLToPath(import.meta.url);
/** No golden kernel takes a second; compiling one may take a few. */
const patience = 60_000;

/** The output buffers of one golden kernel. */
async function answer(context, stream, golden) {
  const { kernel, target, grid, buffers, maps = [] } = golden;
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
  return outputs;
}

/** What the simulator of sm_90 answers: per family the output buffers of each case, by name. */
export async function simulatedAnswers() {
  const { goldenKernels } = await ptx('golden/index.js');
  const context = (await openDriver('sim')).openContext(2);
  const stream = context.createStream();
  const families = new Map();
  for (const golden of goldenKernels()) {
    if (!families.has(golden.family)) families.set(golden.family, new Map());
    families.get(golden.family).set(golden.name, await answer(context, stream, golden));
  }
  return families;
}

/**
 * What the GPU answers, in the same form, and the kernels that ended their process. Prints these as they
 * come. `only` names families; all when it is empty.
 */
export async function answersOfDevice(only = []) {
  const { goldenFamilies, goldenKernels } = await ptx('golden/index.js');
  const families = new Map();
  const failed = [];
  let device;
  for (const family of goldenFamilies().filter((name) => !only.length || only.includes(name))) {
    const names = goldenKernels()
      .filter((golden) => golden.family === family)
      .map(({ name }) => name);
    const cases = new Map();
    let first = 0;
    while (first < names.length) {
      const child = await familyProcess(family, first);
      device ??= child.device;
      if (device === undefined) throw new Error(`no device: ${child.problem}`);
      for (const [name, outputs] of child.answers) cases.set(name, outputs);
      first += child.answers.size;
      if (first === names.length) break;
      const name = names[first++];
      console.log(`FAIL ${family}/${name}: ${child.problem}`);
      failed.push(`${family}/${name}`);
    }
    console.log(`${family}: ${cases.size} of ${names.length} kernels answered`);
    families.set(family, cases);
  }
  return { device, families, failed };
}

/** Runs a family from a kernel on, until the first that fails. */
async function familyProcess(family, first) {
  const child = spawn(process.execPath, [script, family, String(first)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let silence;
  let hung = false;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      hung = true;
      child.kill('SIGKILL');
    }, patience);
  };
  heard();
  let problem = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    problem += text;
  });
  const closed = new Promise((resolve) => {
    child.on('close', (status, signal) => resolve(signal ?? status));
  });
  let device;
  const answers = new Map();
  for await (const line of createInterface({ input: child.stdout })) {
    heard();
    const message = JSON.parse(line);
    if (message.device) device = message.device;
    else answers.set(message.name, message.outputs.map(fromBase64));
  }
  const status = await closed;
  clearTimeout(silence);
  if (hung) problem = `did not answer within ${patience / 1000} s`;
  return { device, answers, problem: problem.trim() || `its process ended with ${status}` };
}

const fromBase64 = (text) => new Uint8Array(Buffer.from(text, 'base64'));

async function printFamily(family, first) {
  const { goldenKernels } = await ptx('golden/index.js');
  const driver = await openDriver(process.env.GOLDEN_DEVICE);
  // The simulator's third device is the one of sm_90.
  const ordinal = driver.kind === 'sim' ? 2 : 0;
  const { name } = driver.deviceFacts(ordinal);
  const { version } = driver;
  const cuda = `${Math.floor(version / 1000)}.${(version % 1000) / 10}`;
  const device = `${name}, driver ${driver.build || driver.origin}, CUDA ${cuda}`;
  console.log(JSON.stringify({ device }));
  const context = driver.openContext(ordinal);
  const stream = context.createStream();
  for (const golden of goldenKernels()
    .filter((golden) => golden.family === family)
    .slice(first)) {
    const outputs = await answer(context, stream, golden);
    const texts = outputs.map((bytes) => Buffer.from(bytes).toString('base64'));
    console.log(JSON.stringify({ name: golden.name, outputs: texts }));
  }
}

if (process.argv[1] === script) {
  const [family, first] = process.argv.slice(2);
  try {
    await printFamily(family, Number(first));
    process.exit(0);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
