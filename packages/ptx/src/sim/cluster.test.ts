import { describe, expect, it } from 'vitest';
import {
  DeclarationError,
  defineKernel,
  field,
  SimMemory,
  simulate,
  type Value,
} from '../index.ts';
import { type AsyncBuilder, runAsync } from '../testing/async.ts';
import { faultOf } from '../testing/run.ts';

type Data = { data: ReturnType<typeof data> };
const data = () => field('u32', [64], { align: 128 });
const shared = { data: data() };
type K = AsyncBuilder<Data>;
const pair = { shared, grid: 2, cluster: 2 };
const me = (k: K) => k.mad(k.clusterCtaRank, 32, k.laneId);

describe('a cluster', () => {
  it('tells its CTAs where they are', () => {
    const kernel = defineKernel(
      { name: 'where', params: {}, block: [32], cluster: [2, 3] },
      (k) => {
        const x = k.clusterIdx.x.mul(2).add(k.clusterCtaId.x);
        const y = k.clusterIdx.y.mul(3).add(k.clusterCtaId.y);
        const rank = k.mad(k.clusterCtaId.y, 2, k.clusterCtaId.x);
        const wrong = x
          .ne(k.blockIdx.x)
          .or(y.ne(k.blockIdx.y))
          .or(rank.ne(k.clusterCtaRank))
          .or(k.clusterCtaCount.ne(6))
          .or(k.clusterDim.y.ne(3))
          .or(k.clusterGridDim.x.ne(2));
        k.if(wrong, () => k.trap());
      },
    );
    simulate(kernel, { grid: [4, 6, 2], memory: new SimMemory(), params: {} });
    expect(() => simulate(kernel, { grid: [4, 5], memory: new SimMemory(), params: {} })).toThrow(
      DeclarationError,
    );
  });

  it('shares its memory', () => {
    const out = runAsync(pair, (k) => {
      const there = k.mapa(k.shared.data.at(k.laneId), k.clusterCtaRank.xor(1));
      k.shared.data.at(k.laneId).store(me(k));
      k.clusterBarrier();
      const theirs = there.load();
      k.clusterBarrier();
      there.store(theirs.add(1000));
      k.clusterBarrier();
      k.reduceAdd(there, 1);
      k.reduceAdd(k.mapa(k.shared.data.at(k.laneId), k.clusterCtaRank), 2);
      k.clusterBarrier();
      k.params.out.at(me(k)).store(k.shared.data.at(k.laneId).load());
      k.clusterBarrier();
    });
    expect([out[0], out[5], out[32], out[63]]).toEqual([1003, 1008, 1035, 1066]);
  });

  const exchange = (k: K, use: { before?: boolean; between?: boolean; after?: boolean }) => {
    const { before = true, between = true, after = true } = use;
    k.shared.data.at(k.laneId).store(me(k));
    if (before) k.clusterBarrier();
    const there = k.mapa(k.shared.data.at(k.laneId), k.clusterCtaRank.xor(1));
    const theirs = there.load();
    if (between) k.clusterBarrier();
    k.shared.data.at(k.laneId).store(theirs);
    if (between) k.clusterBarrier();
    there.store(0);
    if (after) k.clusterBarrier();
  };

  it('must have started, stay, and be synchronised', () => {
    runAsync(pair, (k) => exchange(k, {}));
    const early = faultOf('cluster', () => runAsync(pair, (k) => exchange(k, { before: false })));
    expect(early.problem).toContain('before a cluster barrier has shown that it runs');
    const race = faultOf('race', () => runAsync(pair, (k) => exchange(k, { between: false })));
    expect(race.problem).toMatch(/warp 0 of CTA|warp 0 wrote|warp 0 read/);
    const late = faultOf('cluster', () => runAsync(pair, (k) => exchange(k, { after: false })));
    expect(late.problem).toMatch(/has ended|ends without waiting for it/);
  });

  it('publishes nothing by a relaxed arrival', () => {
    faultOf('race', () =>
      runAsync(pair, (k) => {
        k.clusterBarrier();
        k.shared.data.at(k.laneId).store(me(k));
        k.clusterArrive({ relaxed: true });
        k.clusterWait();
        const there = k.mapa(k.shared.data.at(k.laneId), k.clusterCtaRank.xor(1));
        k.params.out.at(me(k)).store(there.load());
        k.clusterBarrier();
      }),
    );
  });

  it('has no more CTAs than it has', () => {
    faultOf('cluster', () =>
      runAsync(pair, (k) => {
        k.clusterBarrier();
        k.params.out.at(0).store(k.mapa(k.shared.data.at(0), 2).load());
      }),
    );
  });

  it('waits for its barrier exactly once per arrival', () => {
    faultOf('barrier', () => runAsync(pair, (k) => k.clusterWait()));
    faultOf('barrier', () =>
      runAsync(pair, (k) => {
        k.clusterArrive();
        k.clusterArrive();
      }),
    );
    const { message } = faultOf('deadlock', () =>
      runAsync(pair, (k) => {
        k.if(
          k.clusterCtaRank.eq(0),
          () => k.clusterBarrier(),
          () => k.barrier(1, 64),
          { uniform: true },
        );
      }),
    );
    expect(message).toContain("the cluster's barrier (1 of 2 warps there)");
  });

  it('lets exited warps count as arrived', () => {
    const out = runAsync({ ...pair, threads: 64 }, (k) => {
      k.if(k.warpId.eq(1), () => k.exit(), { uniform: true });
      k.clusterBarrier();
      k.params.out.at(k.clusterCtaRank).store(1);
    });
    expect([out[0], out[1]]).toEqual([1, 1]);
  });

  it('makes writes to global memory visible to its CTAs', () => {
    const build = (synchronised: boolean) => (k: K) => {
      k.params.out.at(me(k)).store(me(k));
      if (synchronised) k.clusterBarrier();
      else k.barrier();
      const there = k.mad(k.clusterCtaRank.xor(1), 32, k.laneId);
      const theirs = k.params.out.at(there).load();
      k.clusterBarrier();
      k.params.out.at(me(k)).store(theirs);
    };
    expect(runAsync(pair, build(true))[0]).toBe(32);
  });
});

describe('what goes from CTA to CTA behind the threads', () => {
  /** Each CTA copies its data into the other's second half; gives what arrived. */
  const push = (k: K, send: (peer: Value<'u32'>) => void) => {
    const bar = k.shared.bar.at(0);
    k.shared.data.at(k.laneId).store(me(k));
    k.if(k.threadIdx.x.eq(0), () => {
      k.mbarrierInit(bar, 1);
      k.fenceMbarrierInit();
      k.mbarrierArriveExpectTx(bar, 128);
    });
    k.fenceProxyAsync('shared::cta');
    k.clusterBarrier();
    send(k.clusterCtaRank.xor(1));
    k.mbarrierWait(bar, 0, { cluster: true });
    k.params.out.at(me(k)).store(k.shared.data.at(k.laneId.add(32)).load());
    k.clusterBarrier();
  };
  const expected = Array.from({ length: 64 }, (_, i) => i ^ 32);

  it('arrives by stores of 4, 8 and 16 bytes', () => {
    for (const n of [1, 2, 4] as const) {
      const out = runAsync(pair, (k) =>
        push(k, (peer) => {
          k.if(k.laneId.lt(32 / n), () => {
            const first = k.laneId.mul(n);
            const values = Array.from({ length: n }, (_, i) =>
              k.mad(k.clusterCtaRank, 32, first).add(i),
            );
            const to = k.mapa(k.shared.data.at(first.add(32)), peer);
            k.stAsync(to, values, k.mapa(k.shared.bar.at(0), peer));
          });
        }),
      );
      expect([...out]).toEqual(expected);
    }
  });

  it('arrives by bulk copies', () => {
    for (const seed of [undefined, 1, 2]) {
      const out = runAsync({ ...pair, ...(seed === undefined ? {} : { seed }) }, (k) =>
        push(k, (peer) => {
          k.if(k.threadIdx.x.eq(0), () => {
            const to = k.mapa(k.shared.data.at(32), peer);
            const bar = k.mapa(k.shared.bar.at(0), peer);
            k.bulkCopyToCluster(to, k.shared.data.at(0), 128, bar);
          });
        }),
      );
      expect([...out]).toEqual(expected);
    }
  });

  it('must not be overwritten at its source', () => {
    faultOf('pending copy', () =>
      runAsync(pair, (k) =>
        push(k, (peer) => {
          k.if(k.threadIdx.x.eq(0), () => {
            const to = k.mapa(k.shared.data.at(32), peer);
            k.bulkCopyToCluster(to, k.shared.data.at(0), 128, k.mapa(k.shared.bar.at(0), peer));
            k.shared.data.at(1).store(0);
          });
        }),
      ),
    );
  });

  it('is multicast to the CTAs of a mask, which exist', () => {
    const load = (mask: number) => (k: K) => {
      const bar = k.shared.bar.at(0);
      k.if(k.threadIdx.x.eq(0), () => {
        k.mbarrierInit(bar, 1);
        k.fenceMbarrierInit();
        k.mbarrierArriveExpectTx(bar, 128);
      });
      k.clusterBarrier();
      k.if(k.blockIdx.x.add(k.threadIdx.x).eq(0), () => {
        k.bulkLoad(k.shared.data.at(0), k.params.x.at(8), 128, bar, { multicast: mask });
      });
      k.mbarrierWait(bar, 0);
      k.params.out.at(me(k)).store(k.shared.data.at(k.laneId).load());
    };
    const out = runAsync(pair, load(3));
    expect([out[0], out[31], out[32], out[63]]).toEqual([8, 39, 8, 39]);
    faultOf('cluster', () => runAsync(pair, load(7)));
    faultOf('deadlock', () => runAsync(pair, load(2)));
  });
});
