// What threads can do at best: products on registers and reading memory, by machine code of this file.
import { createRequire } from 'node:module';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { defineKernel } from '@flash-mla/machine-code';

const loops = 2 ** 20;
const repeats = 12;
const readBytes = 128 * 2 ** 20;

const loop = (name, features, take, step) =>
  defineKernel({ name, features, job: { at: 'pointer', n: 'u64' } }, (k, job) => {
    const n = k.gpr('n', job.n);
    const registers = take(k);
    k.loop(n, () => step(k, registers));
  });
const fma = (k, [x, ...sums]) => {
  for (const sum of sums) k.vfmadd231ps(sum, x, x);
};

const kernels = {
  avx2: loop('fma_ymm', ['avx2', 'fma'], (k) => k.ymms('x', 13), fma),
  avx512: loop('fma_zmm', ['avx512f'], (k) => k.zmms('x', 13), fma),
  amx: defineKernel(
    { name: 'tiles', features: ['amx_tile', 'amx_bf16'], job: { at: 'pointer', n: 'u64' } },
    (k, job) => {
      const [n, sums, rest] = [k.gpr('n', job.n), k.tiles('sums', 4), k.tiles('x', 4)];
      k.configureTiles();
      k.loop(n, () => {
        for (const [i, sum] of sums.entries()) k.tdpbf16ps(sum, rest[i >> 1], rest[2 + (i & 1)]);
      });
    },
  ),
  read: defineKernel(
    { name: 'read', features: ['avx2'], job: { at: 'pointer', n: 'u64' } },
    (k, job) => {
      const [at, n, sums] = [k.gpr('at', job.at), k.gpr('n', job.n), k.ymms('x', 8)];
      k.loop(n, () => {
        for (const [i, sum] of sums.entries()) k.vpor(sum, sum, at.at(32 * i));
        k.add(at, 256);
      });
    },
  ),
};
const flops = { avx2: 12 * 16, avx512: 12 * 32, amx: 4 * 16384 };

/** GFLOP/s of each kind in `found` and GB/s of reading, of so many threads at once. */
export async function ceilings(found, threads) {
  if (process.platform !== 'linux' || process.arch !== 'x64') return {};
  const koffi = createRequire(import.meta.url)('koffi');
  const libc = koffi.load(null);
  const mmap = libc.func('void *mmap(void *, size_t, int, int, int, int64_t)');
  const mprotect = libc.func('int mprotect(void *, size_t, int)');
  const workers = Array.from({ length: threads }, () => new Worker(new URL(import.meta.url)));
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const memories = workers.map(() => new Uint8Array(new SharedArrayBuffer(readBytes)).fill(1));
  const best = async (kernel, n) => {
    const { bytes } = kernel.assemble('system-v');
    const code = mmap(null, 65536, 3, 0x22, -1, 0);
    new Uint8Array(koffi.view(code, bytes.length)).set(bytes);
    if (mprotect(code, 65536, 5) !== 0) throw new Error('mprotect');
    let seconds = Number.POSITIVE_INFINITY;
    for (let i = 0; i < repeats; i++) {
      gate.fill(0);
      const times = workers.map((worker, w) => {
        const job = kernel.packJob({ at: BigInt(koffi.address(memories[w])), n });
        worker.postMessage({ code, job, gate, threads });
        return new Promise((resolve, reject) => {
          worker.once('message', resolve).once('error', reject);
        });
      });
      const spans = await Promise.all(times);
      const [began, ended] = [0, 1].map((j) => spans.map((span) => span[j]));
      seconds = Math.min(seconds, (Math.max(...ended) - Math.min(...began)) / 1e3);
      for (const worker of workers) worker.removeAllListeners('error');
    }
    return seconds;
  };
  const result = {};
  try {
    for (const [kind, each] of Object.entries(flops)) {
      if (!found.has(kind)) continue;
      const n = kind === 'amx' ? loops / 8 : loops;
      result[kind] = (threads * each * n) / (await best(kernels[kind], n)) / 1e9;
    }
    if ([...found.keys()].some((kind) => kind in flops)) {
      const seconds = await best(kernels.read, readBytes / 256);
      result.readGBs = (threads * readBytes) / seconds / 1e9;
    }
  } finally {
    for (const worker of workers) await worker.terminate();
  }
  return result;
}

if (!isMainThread && parentPort) {
  const koffi = createRequire(import.meta.url)('koffi');
  koffi.load(null);
  const prototype = koffi.proto('void', ['void *']);
  parentPort.on('message', ({ code, job, gate, threads }) => {
    const call = koffi.decode(code, prototype);
    // All begin at once.
    Atomics.add(gate, 0, 1);
    while (Atomics.load(gate, 0) < threads) {}
    const began = performance.timeOrigin + performance.now();
    call(job);
    parentPort.postMessage([began, performance.timeOrigin + performance.now()]);
  });
}
