// This library's kernel on the benchmark's data.
import { Device, flashMlaWithKvCache, getMlaMetadata } from 'flash-mla';
import { flashMlaKernels } from '../../packages/flash-mla/dist/ops/kernel-libraries.js';
import { open } from '../../packages/flash-mla/dist/runtime/cpu/index.js';
import { widen } from './data.mjs';

/**
 * An engine: `run` resolves when the result is there. Opens the backend itself, because `relaxedSimd`
 * is an option for benchmarks only.
 */
export async function openOurs(data, options) {
  const { b, hQ, sK, dQk, dV, page } = data.sizes;
  const device = new Device(await open(0, { kernels: [flashMlaKernels], ...options }), false, []);
  const q = device.tensor(data.q, [b, 1, hQ, dQk], 'bf16');
  const kCache = device.tensor(data.cache, [data.cache.length / page / dQk, page, 1, dQk], 'bf16');
  const blockTable = device.tensor(data.table, [b, sK / page], 'i32');
  const cacheSeqlens = device.tensor(new Int32Array(b).fill(sK), [b], 'i32');
  const out = device.empty([b, 1, hQ, dV], 'bf16');
  const lse = device.empty([b, hQ, 1], 'f32');
  const [schedMeta] = getMlaMetadata();
  const call = { q, kCache, blockTable, cacheSeqlens, headDimV: dV, schedMeta, out, lse };
  return {
    device,
    async run() {
      flashMlaWithKvCache(call);
      await device.synchronize();
    },
    result: async () => widen(await out.read()),
    close: () => device.dispose(),
  };
}
