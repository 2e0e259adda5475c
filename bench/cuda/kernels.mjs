// The kernels of the self-check.
import { ptx } from './app.mjs';

const { defineKernel, global } = await ptx();

/** target[i] = source[i] + value. */
export const addValue = defineKernel(
  {
    name: 'add_value',
    params: { source: global('u32'), target: global('u32'), count: 'u32', value: 'u32' },
    block: [256],
  },
  (k, { source, target, count, value }) => {
    const i = k.mad(k.blockIdx.x, 256, k.threadIdx.x);
    k.if(i.lt(count), () => target.at(i).store(source.at(i).load().add(value)));
  },
);

/** Adds a value to every element, in place, as one of a chain of launches that overlap on sm_90. */
export const chained = defineKernel(
  { name: 'chained', params: { data: global('u32'), value: 'u32' }, block: [256] },
  (k, { data, value }) => {
    const i = k.mad(k.blockIdx.x, 256, k.threadIdx.x);
    if (k.target.sm >= 90) {
      k.launchDependents();
      k.waitForDependencies();
    }
    data.at(i).store(data.at(i).load().mul(3).add(value));
  },
);

/** One thread that lets clock cycles pass. */
export const spin = defineKernel(
  { name: 'spin', params: { cycles: 'u32' }, block: [1] },
  (k, { cycles }) => {
    const begin = k.clock64();
    k.while(
      () => k.narrow(k.clock64().sub(begin)).lt(cycles),
      () => k.nanosleep(100),
      { unroll: false },
    );
  },
);

/** Stores to an address. */
export const poke = defineKernel(
  { name: 'poke', params: { target: global('u32') }, block: [32] },
  (k, { target }) => target.at(k.threadIdx.x).store(k.constant('u32', 1)),
);

/** Ends in a fault wherever it runs. */
export const trap = defineKernel({ name: 'trap', params: {}, block: [32] }, (k) => k.trap());

/** Uses as much dynamic shared memory as it is built for, and stores its last word. */
export function sharedUser(field, bytes) {
  return defineKernel(
    {
      name: `shared_${bytes}`,
      params: { target: global('u32') },
      shared: { words: field('u32', [bytes / 4]) },
      block: [32],
    },
    (k, { target }) => {
      const last = k.shared.words.at(bytes / 4 - 1);
      k.if(k.threadIdx.x.eq(0), () => {
        last.store(k.constant('u32', 7));
        target.at(0).store(last.load());
      });
    },
  );
}
