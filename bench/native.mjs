// Machine code against WebAssembly: every kind of kernels that this processor runs, in turns in one process, with
// ceilings measured between them. `npm run bench -- native [--rounds N] [--threads N] [--json]`.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { defineKernel } from '@flash-mla/machine-code';
import { flashMlaWithKvCache, getMlaMetadata, linear, openDevice } from 'flash-mla';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '8' },
    threads: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(flags.rounds);
const most = Number(flags.threads);
if (!(rounds >= 1 && most >= 1)) throw new Error('--rounds and --threads: numbers from 1 up');

const kinds = ['wasm', 'avx2', 'avx512', 'amx'];
/** Beyond the caches of most machines. */
const coldBytes = 384 * 2 ** 20;

/** Devices of one kind and number of threads, for those kinds that run here. */
async function openAll(threads) {
  const devices = new Map();
  for (const kind of kinds) {
    process.env.FLASH_MLA_CPU = kind;
    const device = await openDevice('cpu', { threads }).catch((error) => error);
    if (device instanceof Error) console.error(`${kind}: ${device.message}`);
    else devices.set(kind, device);
  }
  return devices;
}

/** Codes of bf16 numbers around 0.01, the same each time. */
function numbers(count) {
  const codes = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    codes[i] = 0x3c00 | ((Math.imul(i, 2654435761) >>> 9) & 0x3ff) | (i & 4 ? 0x8000 : 0);
  }
  return codes;
}

function decode({ b, hQ, sK, cold }) {
  const [headDim, page] = [576, 64];
  const pages = b * (sK / page);
  const bytes = pages * page * headDim * 2;
  return {
    name: `dense decode, b=${b} hQ=${hQ} sK=${sK}${cold ? ', cold' : ''}`,
    flops: 2 * b * hQ * sK * (headDim + 512),
    bytes,
    prepare(device) {
      const q = device.tensor(numbers(b * hQ * headDim), [b, 1, hQ, headDim], 'bf16');
      const copies = cold ? Math.ceil(coldBytes / bytes) : 1;
      const rows = numbers(pages * page * headDim);
      const caches = Array.from({ length: copies }, () =>
        device.tensor(rows, [pages, page, 1, headDim], 'bf16'),
      );
      const order = Int32Array.from({ length: pages }, (_, i) => (i * 7 + 3) % pages);
      const blockTable = device.tensor(pages % 7 ? order : order.sort(), [b, pages / b], 'i32');
      const cacheSeqlens = device.tensor(new Int32Array(b).fill(sK), [b], 'i32');
      const [schedMeta] = getMlaMetadata();
      let turn = 0;
      return {
        tensors: [q, ...caches, blockTable, cacheSeqlens],
        run: () => {
          const kCache = caches[turn++ % copies];
          const call = { q, kCache, blockTable, cacheSeqlens, headDimV: 512, schedMeta };
          return Object.values(flashMlaWithKvCache(call));
        },
      };
    },
  };
}

function product({ rows, size }) {
  const bytes = size * size * 2;
  return {
    name: `linear, ${rows} × ${size} × ${size}, cold`,
    flops: 2 * rows * size * size,
    bytes,
    prepare(device) {
      const x = device.tensor(numbers(rows * size), [rows, size], 'bf16');
      const codes = numbers(size * size);
      const weights = Array.from({ length: Math.ceil(coldBytes / bytes) }, () =>
        device.tensor(codes, [size, size], 'bf16'),
      );
      let turn = 0;
      return {
        tensors: [x, ...weights],
        run: () => [linear({ x, weight: weights[turn++ % weights.length] })],
      };
    },
  };
}

/** The best time of each device for a problem, in turns, in seconds. */
async function measure(problem, devices) {
  const prepared = [...devices].map(([kind, device]) => [kind, device, problem.prepare(device)]);
  const best = new Map();
  for (let round = 0; round <= rounds; round++) {
    for (const [kind, device, { run }] of prepared) {
      const started = performance.now();
      const outputs = run();
      await device.synchronize();
      const seconds = (performance.now() - started) / 1e3;
      for (const output of outputs) output.dispose();
      // The first round only warms up.
      if (round > 0) best.set(kind, Math.min(best.get(kind) ?? Number.POSITIVE_INFINITY, seconds));
    }
  }
  for (const [, device, { tensors }] of prepared) {
    for (const tensor of tensors) tensor.dispose();
    await device.synchronize();
  }
  return best;
}

/** What one thread can do: products on registers and reading, by machine code of this file. */
function ceilings(found) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return {};
  const koffi = createRequire(import.meta.url)('koffi');
  const libc = koffi.load(null);
  const mmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)');
  const mprotect = libc.func('int mprotect(void *, size_t, int)');
  const best = (kernel, job) => {
    const { bytes } = kernel.assemble('system-v');
    const address = mmap(null, 65536, 3, 0x22, -1, 0);
    new Uint8Array(koffi.view(address, bytes.length)).set(bytes);
    if (mprotect(address, 65536, 5) !== 0) throw new Error('mprotect');
    const call = koffi.decode(address, koffi.proto('void', ['void *']));
    let seconds = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 12; i++) {
      const started = performance.now();
      call(kernel.packJob(job));
      seconds = Math.min(seconds, (performance.now() - started) / 1e3);
    }
    return seconds;
  };
  const loops = 2 ** 20;
  const loop = (name, features, take, step) =>
    defineKernel({ name, features, job: { n: 'u64' } }, (k, job) => {
      const n = k.gpr('n', job.n);
      const registers = take(k);
      k.loop(n, () => step(k, registers));
    });
  const fma = (k, [x, ...sums]) => {
    for (const sum of sums) k.vfmadd231ps(sum, x, x);
  };
  const gflops = (flops, kernel) => (flops * loops) / best(kernel, { n: loops }) / 1e9;
  const result = {};
  if (found.has('avx2')) {
    const ymm = loop('fma_ymm', ['avx2', 'fma'], (k) => k.ymms('x', 13), fma);
    result.avx2 = gflops(12 * 16, ymm);
  }
  if (found.has('avx512')) {
    const zmm = loop('fma_zmm', ['avx512f'], (k) => k.zmms('x', 13), fma);
    result.avx512 = gflops(12 * 32, zmm);
    const bytes = 256 * 2 ** 20;
    const memory = new Uint8Array(bytes).fill(1);
    const read = defineKernel(
      { name: 'read', features: ['avx512f'], job: { at: 'pointer', n: 'u64' } },
      (k, job) => {
        const [at, n, sums] = [k.gpr('at', job.at), k.gpr('n', job.n), k.zmms('x', 4)];
        k.loop(n, () => {
          for (const [i, sum] of sums.entries()) k.vpord(sum, sum, at.at(64 * i));
          k.add(at, 256);
        });
      },
    );
    const job = { at: BigInt(koffi.address(memory)), n: bytes / 256 };
    result.readGBs = bytes / best(read, job) / 1e9;
  }
  if (found.has('amx')) {
    const tiles = defineKernel(
      { name: 'tiles', features: ['amx_tile', 'amx_bf16'], job: { n: 'u64' } },
      (k, job) => {
        const [n, sums, rest] = [k.gpr('n', job.n), k.tiles('sums', 4), k.tiles('x', 4)];
        k.configureTiles();
        k.loop(n, () => {
          for (const [i, sum] of sums.entries()) {
            k.tdpbf16ps(sum, rest[i >> 1], rest[2 + (i & 1)]);
          }
        });
      },
    );
    result.amx = gflops(4 * 16384, tiles);
  }
  return result;
}

const problems = [
  decode({ b: 4, hQ: 128, sK: 4096 }),
  decode({ b: 4, hQ: 16, sK: 4096 }),
  decode({ b: 4, hQ: 128, sK: 4096, cold: true }),
  decode({ b: 4, hQ: 16, sK: 4096, cold: true }),
  decode({ b: 1, hQ: 16, sK: 65536 }),
  ...[1, 4, 16, 64].map((rows) => product({ rows, size: 4096 })),
];

const report = { rounds, results: [] };
for (const threads of new Set([1, most])) {
  const devices = await openAll(threads);
  report.processor ??= devices.get('wasm').info.name;
  report.ceilingsOfOneThread ??= ceilings(devices);
  for (const problem of problems) {
    const best = await measure(problem, devices);
    const { name, flops, bytes } = problem;
    const slowest = best.get('wasm');
    for (const [kind, seconds] of best) {
      const rates = { gflops: flops / seconds / 1e9, gbs: bytes / seconds / 1e9 };
      const row = { name, threads, kind, ms: seconds * 1e3, ...rates, ratio: slowest / seconds };
      report.results.push(row);
      if (!flags.json) {
        const { ms, gflops, gbs, ratio } = row;
        const numbers = `${ms.toFixed(2)} ms  ${gflops.toFixed(1)} GFLOP/s  ${gbs.toFixed(1)} GB/s`;
        console.log(
          `${name.padEnd(38)} ${threads} thr  ${kind.padEnd(7)} ${numbers}  ${ratio.toFixed(2)}×`,
        );
      }
    }
  }
  for (const device of devices.values()) await device.dispose();
}
if (flags.json) console.log(JSON.stringify(report, null, 2));
else console.log('ceilings of one thread, GFLOP/s:', report.ceilingsOfOneThread);
