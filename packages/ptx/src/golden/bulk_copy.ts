import type { ReduceType } from '../instructions/bulk_copy.ts';
import { bytesOf } from '../ir/types.ts';
import { field } from '../layout/shared.ts';
import { asyncCase, makeBarriers } from './async_case.ts';
import type { Data, GoldenCase } from './case.ts';
import { data, random, wide } from './data.ts';

const family = 'bulk_copy';
const noise = random('b32', 2048, 311);

/** Adds x to what y, the second half of the input, has put into the output. */
function reduce<E extends ReduceType>(input: Data<E>): GoldenCase {
  const { type } = input;
  const count = input.bytes.length / bytesOf(type) / 2;
  const initial = input.bytes.slice(input.bytes.length / 2);
  const shared = { s: field<ReduceType>(type, [count], { align: 128 }) };
  const options = { input, output: type, count, shared, initial };
  return asyncCase<ReduceType, ReduceType, typeof shared>(family, `add ${type}`, options, (k) => {
    const bar = k.shared.bar.at(0);
    const bytes = count * bytesOf(type);
    makeBarriers(k, 1);
    k.if(k.threadIdx.x.eq(0), () => {
      k.mbarrierArriveExpectTx(bar, bytes);
      k.bulkLoad(k.shared.s.at(0), k.params.x, bytes, bar);
      k.mbarrierWait(bar, 0);
      k.bulkReduce(k.params.out, k.shared.s.at(0), bytes);
      k.bulkCommit();
      k.bulkWait(0);
    });
  });
}

const special = [0, -0, 1, -1, 1e-40, -1e-40, 1e38, 3e38, Infinity, -Infinity, NaN, 2 ** -126];
const pairs = (type: 'f32' | 'f16' | 'bf16') => {
  const all = special.flatMap((a) => special.map((b) => [a, b] as const));
  return data(type, [...all.map(([a]) => a), ...all.map(([, b]) => b)]);
};

/** Contiguous copies without tensor maps. */
export function bulkCopyCases(): GoldenCase[] {
  const shared = { s: field('b32', [1024], { align: 128 }) };
  return [
    asyncCase(
      family,
      'load and store',
      { input: noise, output: 'b32', count: 2048, shared },
      (k) => {
        const bar = k.shared.bar.at(0);
        makeBarriers(k, 2);
        k.if(k.threadIdx.x.eq(0), () => {
          k.bulkPrefetch(k.params.x, 4096);
          // Before the arrival, behind which nothing keeps the phase from ending.
          k.mbarrierExpectTx(bar, 16);
          k.mbarrierArriveExpectTx(bar, 2048);
          k.bulkLoad(k.shared.s.at(0), k.params.x.at(4), 2048, bar);
          k.bulkLoad(k.shared.s.at(512), k.params.x.at(1020), 16, bar, {
            l2Policy: k.cachePolicy('evict_last'),
          });
        });
        k.if(k.threadIdx.x.eq(64), () => {
          k.mbarrierArriveExpectTx(bar, 1024);
          k.bulkLoad(k.shared.s.at(516), k.params.x.at(1200), k.copy(k.constant('u32', 1024)), bar);
        });
        k.mbarrierWait(bar, 0);
        k.if(k.threadIdx.x.eq(0), () => {
          k.bulkStore(k.params.out, k.shared.s.at(0), 2048);
          k.bulkCommit();
          k.bulkStore(k.params.out.at(1000), k.shared.s.at(512), 1040);
          k.bulkCommit();
          k.bulkWait(1, { read: true });
          k.shared.s.at(0).store(0);
          k.bulkWait(0);
        });
      },
    ),
    reduce(wide('f32', 512, 312, [-30, 30])),
    { ...reduce(pairs('f32')), name: 'add f32, special' },
    reduce(wide('f16', 512, 313, [-14, 14])),
    reduce(wide('bf16', 512, 314, [-30, 30])),
    { ...reduce(pairs('bf16')), name: 'add bf16, special' },
    reduce(random('u32', 256, 315)),
    reduce(random('s32', 256, 316)),
  ];
}
