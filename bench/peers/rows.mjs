// Packed FP8 rows against bf16 rows with the same tokens, in turn.
import { openDevice } from 'flash-mla';
import { measure } from '../../packages/flash-mla/dist/command/bench/measure.js';
import { rotation } from '../../packages/flash-mla/dist/command/bench/rotation.js';
import { benchOperations } from '../../packages/flash-mla/dist/ops/operation-tools.js';
import { median } from './timing.mjs';

/** Microseconds of both layouts, and the ratio of their times. */
export async function fp8AgainstBf16(threads, rounds = 5) {
  const device = await openDevice('cpu', { threads });
  try {
    const operation = benchOperations['sparse-decode'];
    const prepare = async (kvLayout) => {
      const problem = operation.problem({ b: 4, hQ: 128, sK: 8192, topk: 2048, kvLayout }, 'cpu');
      return operation.prepare(device, problem, 1);
    };
    const [fp8, bf16] = [await prepare('v32'), await prepare('bf16')];
    const times = { fp8: [], bf16: [] };
    const options = { copies: 1, calls: 1, samples: 7, budgetSeconds: 1 };
    for (let i = 0; i < rounds; i++) {
      times.fp8.push((await measure(device, fp8, options)).us);
      times.bf16.push((await measure(device, bf16, options)).us);
    }
    return {
      fp8Us: median(times.fp8),
      bf16Us: median(times.bf16),
      ratio: median(times.fp8.map((us, i) => us / times.bf16[i])),
    };
  } finally {
    await device.dispose();
  }
}

/** A dense decode whose inputs do not fit the last-level cache. */
export async function coldDecode(threads, hQ) {
  const device = await openDevice('cpu', { threads });
  try {
    const operation = benchOperations['dense-decode'];
    const problem = operation.problem({ b: 4, hQ, sK: 4096 }, 'cpu');
    const { copies, calls, cold } = rotation(device, problem, 'cold');
    const prepared = await operation.prepare(device, problem, copies);
    const { us } = await measure(device, prepared, { copies, calls, samples: 5 });
    return { us, copies, cold, flops: problem.flops, rotatedBytes: copies * problem.footprint };
  } finally {
    await device.dispose();
  }
}
