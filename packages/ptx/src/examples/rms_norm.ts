import { defineKernel, field, global, segmentSum, unpackBf16x2 } from '../index.ts';

/**
 * y = x / √(mean(x²) + ε) · weight for each row of a bf16 matrix. One CTA takes a row and keeps it in
 * registers, 8 values a thread: the row is read once. `columns` is a multiple of 256, at most 8192.
 */
export function rmsNorm({ columns }: { columns: number }) {
  const warps = columns / 256;
  return defineKernel(
    {
      name: 'rms_norm',
      params: { x: global('bf16'), weight: global('bf16'), y: global('bf16'), epsilon: 'f32' },
      shared: { partial: field('f32', [warps]) },
      block: [warps * 32],
    },
    (k, { x, weight, y, epsilon }) => {
      const column = k.threadIdx.x.mul(8).named('column');
      const row = k.mulWide(k.blockIdx.x, columns);
      const load = (from: typeof x) => {
        const pairs = from.as('bf16x2').loadVec(4);
        return pairs.flatMap((pair) => unpackBf16x2(k, pair));
      };

      const values = k.section('load', () => load(x.at(row).at(column)));
      const mean = k.section('mean of squares', () => {
        const squares = values.map((v) => v.mul(v)).reduce((a, b) => a.add(b));
        const ofWarp = segmentSum(k, squares);
        k.if(k.laneId.eq(0), () => k.shared.partial.at(k.warpId).store(ofWarp));
        k.barrier();
        const partial = Array.from({ length: warps }, (_, w) => k.shared.partial.at(w).load());
        return partial.reduce((a, b) => a.add(b)).mul(1 / columns);
      });
      k.section('scale and store', () => {
        const scale = k.rsqrt(mean.add(epsilon)).named('scale');
        const scaled = load(weight.at(column)).map((w, i) => values[i].mul(scale).mul(w));
        const pairs = [0, 2, 4, 6].map((i) => k.packBf16x2(scaled[i], scaled[i + 1]));
        y.at(row).at(column).as('bf16x2').storeVec(pairs);
      });
    },
  );
}
