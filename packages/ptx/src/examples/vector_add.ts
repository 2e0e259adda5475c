import { defineKernel, global } from '../index.ts';

/** z = x + y, element by element: the smallest whole kernel. Launch ceil(n / 256) CTAs. */
export const vectorAdd = defineKernel(
  {
    name: 'vector_add',
    params: { x: global('f32'), y: global('f32'), z: global('f32'), n: 'u32' },
    block: [256],
  },
  (k, { x, y, z, n }) => {
    const i = k.mad(k.blockIdx.x, k.blockDim.x, k.threadIdx.x).named('i');
    k.if(i.lt(n), () => {
      z.at(i).store(x.at(i).load().add(y.at(i).load()));
    });
  },
);
