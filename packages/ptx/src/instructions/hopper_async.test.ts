import { describe, expect, it } from 'vitest';
import {
  DeclarationError,
  defineKernel,
  emitPtx,
  field,
  global,
  KernelBuildError,
  tensorMap,
  UnsupportedInstructionError,
} from '../index.ts';
import { assemble, hasPtxas } from '../testing/ptxas.ts';

/** Uses every asynchronous instruction of sm_90 with every option that changes its text. */
const everything = defineKernel(
  {
    name: 'everything_async',
    params: { map: tensorMap('bf16'), x: global('bf16'), sums: global('f32'), n: 'u32' },
    shared: {
      ring: field('bf16', [2, 64, 128], { swizzle: '128B', arrangement: 'tiles' }),
      floats: field('f32', [1024], { align: 128 }),
      full: field('b64', [2]),
      empty: field('b64', [2]),
    },
    block: [128],
    cluster: [2],
  },
  (k, { map, x, sums, n }) => {
    const { ring, floats, full, empty } = k.shared;
    const stage = n.and(1);
    k.section('barriers', () => {
      k.mbarrierInit(full.at(0), 1);
      k.mbarrierInit(full.at(stage), n);
      k.fenceMbarrierInit();
      k.mbarrierArrive(empty.at(stage));
      k.mbarrierArriveExpectTx(full.at(1), 8192);
      k.mbarrierExpectTx(full.at(stage), n);
      k.cpAsyncArrive(full.at(stage));
      k.mbarrierArriveRemote(empty.at(stage), k.clusterCtaRank.xor(1));
      k.mbarrierArriveRemote(k.mapa(empty.at(0), 1).at(stage));
      k.if(k.mbarrierTryWait(full.at(0), stage), () => k.mbarrierWait(full.at(0), 0));
      k.mbarrierWait(full.at(stage), stage, { cluster: true });
      k.mbarrierInvalidate(full.at(1));
      k.fenceProxyAsync();
      k.fenceProxyAsync('shared::cta');
      k.fenceProxyAsync('global');
    });
    const policy = k.cachePolicy('evict_first');
    const mask = k.split(n.as('b32'))[0];
    k.section('tensor copies', () => {
      k.prefetchTensorMap(map);
      k.tensorLoad(ring.tile(0, 1), map, [0, n], full.at(0));
      k.tensorLoad(ring.tile(stage, 1), map, [n], full.at(stage), { l2Policy: policy });
      k.tensorLoad(ring.tile(stage, n), map, [n, 1, 2, -3, 4], full.at(0), { multicast: 3 });
      k.tensorLoad(ring.tile(1, 0), map, [n.as('s32'), 1, 2], full.at(1), {
        multicast: mask,
        l2Policy: policy,
      });
      k.tensorStore(map, [0, n], ring.tile(0, 0));
      k.tensorStore(map, [0, n, 3], ring.tile(0, 0), { l2Policy: policy });
      k.tensorPrefetch(map, [0, n]);
      k.tensorPrefetch(map, [0, n, 1], { l2Policy: policy });
    });
    k.section('bulk copies', () => {
      k.bulkLoad(ring.tile(0, 0), x, 1024, full.at(0));
      k.bulkLoad(ring.tile(0, 0), x.at(8), n, full.at(0), { multicast: 3, l2Policy: policy });
      k.bulkStore(x, ring.tile(0, 0), 1024);
      k.bulkStore(x.at(n), ring.tile(0, 0), 1024, { l2Policy: policy });
      k.bulkReduce(sums, floats.at(0), 1024);
      k.bulkReduce(x, ring.tile(0, 0), n, { l2Policy: policy });
      k.bulkPrefetch(x, 4096);
      k.bulkPrefetch(x, n, { l2Policy: policy });
      k.bulkCommit();
      k.bulkWait(1, { read: true });
      k.bulkWait(0);
    });
    k.section('clusters', () => {
      const peer = k.clusterCtaRank.xor(1);
      const there = k.mapa(floats.pointer, peer);
      const bar = k.mapa(full.at(1), peer);
      k.bulkCopyToCluster(there, floats.pointer, 512, bar);
      k.clusterBarrier();
      k.clusterArrive({ relaxed: true });
      k.clusterWait();
      const [a, b, c, d] = there.at(n.shl(2)).loadVec(4);
      there.at(8).storeVec([a, b, c, d]);
      there.at(9).store(there.load({ acquire: 'cluster' }), { release: 'cluster' });
      k.reduceAdd(there.at(3), a);
      k.reduceAdd(there.as('u32'), n);
      k.reduceAdd(sums.as('u32'), k.atomicAdd(there.as('u32'), n));
      k.stAsync(there, [a, b, c, d], bar);
      k.stAsync(there, [a, 1], bar);
      k.stAsync(there, [a], bar);
      const wide = k.widen(n);
      k.stAsync(there.as('u64'), [wide, wide], bar);
      const where = [k.clusterCtaId.x, k.clusterDim.y, k.clusterIdx.x, k.clusterGridDim.x];
      for (const v of [...where, k.clusterCtaCount]) k.reduceAdd(sums.as('u32'), v);
    });
  },
);

describe('asynchronous instructions of sm_90', () => {
  it.skipIf(!hasPtxas)('assemble (needs ptxas)', () => {
    for (const target of ['sm_90', 'sm_90a', 'sm_100', 'sm_120']) {
      const report = assemble(emitPtx(everything, target), target);
      expect(report.log).not.toMatch(/error/);
      expect(report.ok).toBe(true);
    }
  });

  it('read as the manual writes them', () => {
    const ptx = emitPtx(everything, 'sm_90a', { locations: false });
    expect(ptx).toContain('.param .align 64 .b8 map[128],');
    expect(ptx).toContain('.version 8.1');
    expect(ptx).toMatch(/cp\.async\.mbarrier\.arrive\.noinc\.shared::cta\.b64 \[%r\d+\+\d+\];/);
    expect(ptx).toContain(
      'mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 done, [%r0+36864], 0;',
    );
    expect(ptx).toMatch(
      /cp\.async\.bulk\.tensor\.5d\.shared::cluster\.global\.mbarrier::complete_tx::bytes\.multicast::cluster \[%r\d+\], \[%map, \{%n, 1, 2, -3, 4\}\], \[%r0\+\d+\], 0x3;/,
    );
  });

  it('need sm_90', () => {
    expect(() => emitPtx(everything, 'sm_89')).toThrow(UnsupportedInstructionError);
  });
});

describe('tiles of a swizzled field', () => {
  const build = (use: (tile: (...index: number[]) => { offset: number }) => void) =>
    defineKernel(
      {
        name: 'tiles',
        params: {},
        shared: {
          first: field('u32', [1]),
          ring: field('bf16', [3, 64, 576], { swizzle: '128B', arrangement: 'tiles' }),
          plain: field('f32', [8, 8]),
        },
        block: [32],
      },
      (k) => use((...index) => k.shared.ring.tile(...index)),
    ).program('sm_90a');

  it('follow one another', () => {
    build((tile) => {
      expect(tile(0, 0).offset).toBe(1024);
      expect(tile(0, 1).offset).toBe(1024 + 8192);
      expect(tile(2, 8).offset).toBe(1024 + 2 * 9 * 8192 + 8 * 8192);
    });
  });

  it('are checked', () => {
    for (const index of [[0], [0, 9], [3, 0], [0, 0, 0]]) {
      expect(() => build((tile) => tile(...index))).toThrow(KernelBuildError);
    }
  });
});

describe('misuse while building', () => {
  const bar = { bar: field('b64', [1]), data: field('f32', [64]) };
  const build = (
    use: Parameters<typeof defineKernel<{ x: { kind: 'pointer'; element: 'f32' } }, typeof bar>>[1],
  ) =>
    defineKernel(
      { name: 'misuse', params: { x: global('f32') }, shared: bar, block: [32] },
      use,
    ).program('sm_90a');

  it('is refused at the line that wrote it', () => {
    expect(() => build((k) => k.mbarrierInit(k.shared.bar.at(0), 0))).toThrow(
      /1 to 1048575 arrivals/,
    );
    expect(() => build((k) => k.mbarrierExpectTx(k.shared.bar.at(0), 2 ** 20))).toThrow(/bytes/);
    expect(() =>
      build((k, { x }) => k.bulkLoad(k.shared.data.at(0), x, 24, k.shared.bar.at(0))),
    ).toThrow(/multiples of 16 bytes, not 24/);
    expect(() =>
      build((k, { x }) =>
        k.bulkLoad(k.shared.data.at(0), x, 32, k.shared.bar.at(0), { multicast: 0 }),
      ),
    ).toThrow(/16-bit mask/);
    expect(() => build((k) => k.bulkWait(-1))).toThrow(/pending groups/);
  });

  it('of clusters is refused', () => {
    expect(() =>
      defineKernel({ name: 'big', params: {}, block: [32], cluster: [32] }, () => {}),
    ).toThrow(DeclarationError);
  });
});
