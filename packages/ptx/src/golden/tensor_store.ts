import { field } from '../layout/shared.ts';
import type { Swizzle } from '../layout/swizzle.ts';
import { asyncCase } from './async_case.ts';
import type { GoldenCase } from './case.ts';
import { noise } from './tensor_copy.ts';

const family = 'tensor_store';

/** Stores a tile of 12 rows of 32 words three times: inside of the tensor, and beyond its ends. */
function store(name: string, swizzle: Swizzle | 'none'): GoldenCase {
  const layout = swizzle === 'none' ? { align: 128 } : { swizzle };
  const shared = { tile: field('b32', [12, 32], layout) };
  const target = {
    element: 'b32',
    dims: [40, 30],
    strides: [192],
    box: [32, 12],
    swizzle,
  } as const;
  return asyncCase(
    family,
    name,
    { input: noise, output: 'b32', count: 2048, shared, target },
    (k) => {
      k.for({ from: k.threadIdx.x, to: 12 * 32, step: 128 }, (i) => {
        k.shared.tile.at(i.shr(5), i.and(31)).store(k.params.x.at(i).load());
      });
      k.fenceProxyAsync('shared::cta');
      k.barrier();
      k.if(k.threadIdx.x.eq(0), () => {
        for (const at of [
          [0, 0],
          [16, 24],
          [4, 10],
        ]) {
          k.tensorStore(k.params.target, at, k.shared.tile.pointer);
          k.bulkCommit();
          k.bulkWait(0);
        }
      });
    },
  );
}

/** Boxes of tensors, stored. */
export function tensorStoreCases(): GoldenCase[] {
  return [store('tensor store', '128B'), store('tensor store without swizzle', 'none')];
}
