import { field } from '../layout/shared.ts';
import { asyncCase, makeBarriers } from './async_case.ts';
import type { GoldenCase } from './case.ts';
import { random, uniform } from './data.ts';

const family = 'cluster';
const noise = random('u32', 512, 321);
const shared = { s: field('u32', [256], { align: 128 }) };
const base = { input: noise, output: 'u32', count: 512, grid: 4, shared } as const;

/** Clusters: where CTAs are, one another's memory, and what arrives there behind the threads. */
export function clusterCases(): GoldenCase[] {
  return [
    asyncCase(family, 'coordinates', { ...base, threads: 32, cluster: 2 }, (k) => {
      const values = [
        k.clusterCtaRank,
        k.clusterCtaCount,
        k.clusterCtaId.x,
        k.clusterCtaId.y,
        k.clusterDim.x,
        k.clusterDim.z,
        k.clusterIdx.x,
        k.clusterGridDim.x,
      ];
      values.forEach((value, i) => {
        k.params.out.at(k.mad(k.blockIdx.x, 8, i)).store(value);
      });
    }),
    asyncCase(family, 'distributed shared memory', { ...base, cluster: 4 }, (k) => {
      const me = k.threadIdx.x;
      const global = k.mad(k.blockIdx.x, 128, me);
      const next = k.clusterCtaRank.add(1).and(3);
      k.shared.s.at(me).store(k.params.x.at(global).load());
      k.shared.s.at(me.add(128)).store(0);
      k.clusterBarrier();
      const there = k.mapa(k.shared.s.at(me), next);
      const [a, b] = k.mapa(k.shared.s.at(me.and(126)), next).loadVec(2);
      k.clusterArrive();
      k.clusterWait();
      there.store(a.xor(b.shl(1)));
      k.reduceAdd(k.mapa(k.shared.s.at(me.and(31).add(128)), next), me);
      const spare = k.var('u32', 0);
      k.if(me.lt(32), () => {
        spare.set(k.atomicExchange(k.mapa(k.shared.s.at(me.add(224)), next), me.add(9)));
      });
      k.clusterBarrier();
      const mine = k.shared.s.at(me).load();
      const added = k.shared.s.at(me.and(31).add(128)).load();
      const exchanged = k.shared.s.at(me.and(31).add(224)).load();
      k.params.out.at(global).store(mine.add(added).add(exchanged).add(spare));
    }),
    asyncCase(
      family,
      'sums of floats',
      {
        ...base,
        input: uniform('f32', 512, 322),
        output: 'f32',
        cluster: 2,
        shared: { f: field('f32', [128]) },
      },
      (k) => {
        const me = k.threadIdx.x;
        const global = k.mad(k.blockIdx.x, 128, me);
        k.shared.f.at(me).store(k.params.x.at(global).load());
        k.clusterBarrier();
        // Each element gets exactly one more summand, so that the order does not matter.
        const there = k.mapa(k.shared.f.at(me.xor(5)), k.clusterCtaRank.xor(1));
        k.reduceAdd(there, k.params.x.at(k.mad(k.blockIdx.x, 128, me.xor(77))).load());
        k.clusterBarrier();
        k.params.out.at(global).store(k.shared.f.at(me).load());
      },
    ),
    asyncCase(family, 'st.async', { ...base, cluster: 2 }, (k) => {
      const me = k.threadIdx.x;
      const { s, bar } = k.shared;
      makeBarriers(k, 1);
      const peer = k.clusterCtaRank.xor(1);
      const global = k.mad(k.blockIdx.x, 128, me);
      k.if(me.eq(0), () => k.mbarrierArriveExpectTx(bar.at(0), 1024));
      const x = k.params.x.at(global).load();
      const there = k.mapa(bar.at(0), peer);
      k.stAsync(k.mapa(s.at(me), peer), [x], there);
      k.if(me.lt(32), () => {
        k.stAsync(k.mapa(s.at(me.shl(1).add(128)), peer), [x.add(1), x.add(2)], there);
      });
      k.if(me.lt(16), () => {
        const to = k.mapa(s.at(me.shl(2).add(192)), peer);
        k.stAsync(to, [x, x.add(3), x.add(5), x.xor(7)], there);
      });
      k.mbarrierWait(bar.at(0), 0, { cluster: true });
      const sum = s
        .at(me)
        .load()
        .add(s.at(me.add(128)).load().mul(3));
      k.params.out.at(global).store(sum);
      k.clusterBarrier();
    }),
    asyncCase(family, 'bulk copy', { ...base, cluster: 2 }, (k) => {
      const me = k.threadIdx.x;
      const { s, bar } = k.shared;
      makeBarriers(k, 1);
      const peer = k.clusterCtaRank.xor(1);
      const global = k.mad(k.blockIdx.x, 128, me);
      s.at(me).store(k.params.x.at(global).load());
      k.fenceProxyAsync('shared::cta');
      k.barrier();
      k.if(me.eq(0), () => {
        k.mbarrierArriveExpectTx(bar.at(0), 512);
        k.bulkCopyToCluster(k.mapa(s.at(128), peer), s.at(0), 512, k.mapa(bar.at(0), peer));
      });
      k.mbarrierWait(bar.at(0), 0, { cluster: true });
      k.params.out.at(global).store(s.at(me.add(128)).load());
      k.clusterBarrier();
    }),
    asyncCase(family, 'remote arrivals', { ...base, cluster: 4 }, (k) => {
      const me = k.threadIdx.x;
      const { s, bar } = k.shared;
      makeBarriers(k, 16, 4);
      const global = k.mad(k.blockIdx.x, 128, me);
      const sum = k.var('u32', 0);
      for (let round = 0; round < 3; round++) {
        const next = k.clusterCtaRank.add(round + 1).and(3);
        k.mapa(s.at(me), next).store(k.params.x.at(global).load().add(round));
        k.syncWarp();
        // All four CTAs have written before anybody reads, and read before anybody writes again.
        k.if(k.laneId.lt(4), () => k.mbarrierArriveRemote(bar.at(0), k.laneId));
        k.mbarrierWait(bar.at(0), round & 1, { cluster: true });
        sum.set(sum.mul(3).add(s.at(me).load()));
        k.barrier();
        k.if(me.lt(4), () => k.mbarrierArriveRemote(bar.at(1), me));
        k.mbarrierWait(bar.at(1), round & 1, { cluster: true });
      }
      k.params.out.at(global).store(sum);
      k.clusterBarrier();
    }),
  ];
}
