import type { Body } from '../builder/body.ts';
import { instruction } from '../ir/instruction.ts';
import type { ProxyFence } from '../sim/machine.ts';

/** Orders accesses by threads and accesses by the asynchronous engines (bulk copies, wgmma). */
export const fenceProxyAsync = instruction<{ readonly space: ProxyFence }>({
  name: 'fence.proxy.async',
  kind: 'fence',
  requires: () => ({ sm: 90, ptx: 80 }),
  ptx: ({ space }) => `fence.proxy.async${space === 'all' ? '' : `.${space}`}`,
  warp:
    ({ space }) =>
    (w) =>
      w.fenceProxy(space),
});

/** The fence between the two ways to memory. */
export const proxyOps = (body: Body) => ({
  /**
   * Orders this thread's accesses (and those it has seen) before later ones by bulk copies and wgmma:
   * for data that threads wrote and the asynchronous engines read. `shared::cta`, `global` or all.
   */
  fenceProxyAsync(space: ProxyFence = 'all'): void {
    body.run(fenceProxyAsync({ space }), []);
  },
});
