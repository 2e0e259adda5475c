import { defineKernel, loadBf16, sumOfLanes } from '../index.ts';

/** Sums that are kept apart, so that additions need not wait for each other. */
const lanes = 4;

/**
 * out = Σ x[i] · y[i] of two bf16 vectors, summed in f32. `count` is a multiple of 32. Needs AVX2 and FMA
 * only: bf16 is the upper half of f32, so a shift makes one of the other.
 */
export const dotBf16 = defineKernel(
  {
    name: 'dot_bf16',
    features: ['avx2', 'fma'],
    job: { x: 'pointer', y: 'pointer', out: 'pointer', count: 'u64' },
  },
  (k, job) => {
    const x = k.gpr('x', job.x);
    const y = k.gpr('y', job.y);
    const count = k.gpr('count', job.count);
    const sums = k.ymms('sums', lanes);
    for (const sum of sums) k.vxorps(sum, sum, sum);

    k.for({ to: count, step: 8 * lanes, name: 'elements' }, (i) => {
      for (const [lane, sum] of sums.entries()) {
        const place = 16 * lane; // bytes of eight bf16
        k.scope(() => {
          const [a, b] = [k.ymm('a'), k.ymm('b')];
          loadBf16(k, a, x.at(i.times(2), place));
          loadBf16(k, b, y.at(i.times(2), place));
          k.vfmadd231ps(sum, a, b);
        });
      }
    });

    const total = sumOfLanes(k, sums);
    k.vmovss(k.gpr('out', job.out).at(), total);
  },
);
