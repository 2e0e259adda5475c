import { describe, expect, it } from 'vitest';
import { defineKernel, emitPtx, field, global } from '../index.ts';
import { assemble, assembledTargets, hasPtxas } from '../testing/ptxas.ts';

/** Uses every instruction that the target has, with every option that changes its text. */
const everything = defineKernel(
  {
    name: 'everything',
    params: {
      x: global('f32'),
      w: global('u64'),
      h: global('bf16'),
      b: global('u8'),
      n: 'u32',
      f: 'f32',
      l: 's64',
    },
    shared: {
      tile: field('bf16', [16, 64], { swizzle: '128B' }),
      bytes: field('e4m3', [16, 128], { swizzle: '128B', arrangement: 'tiles' }),
      words: field('u32', [64]),
      floats: field('f32', [64]),
    },
    block: [128],
    maxRegisters: 128,
  },
  (k, { x, w, h, b, n, f, l }) => {
    const { sm } = k.target;
    const out = x.at(k.threadIdx.x);
    const keep = (...values: (typeof f)[]) => {
      for (const v of values) k.reduceAdd(out, v);
    };
    const keepU = (...values: (typeof n)[]) => {
      for (const v of values) k.reduceAdd(k.shared.words.at(1), v);
    };
    const s = n.as('s32');
    const u = w.load({ volatile: true });

    k.section('integers', () => {
      keepU(n.add(1), n.sub(2), n.mul(n), n.div(3), n.rem(5), n.min(7), n.max(9), k.mulHi(n, n));
      keepU(s.neg().abs().min(-3).max(4).div(-2).rem(3).shr(n).as('u32'), k.mad(n, 3, 4));
      const wide = k.madWide(s, -5, k.mulWide(s, 3)).add(l).sub(1n).mul(l).div(l).rem(l);
      keepU(k.narrow(wide.min(l).max(5).neg().abs().shl(3).shr(n)).as('u32'));
      keepU(k.narrow(k.mulHi(k.mad(u, u, u).shr(n).xor(u).and(u).or(u).not(), u).min(u)));
      keepU(n.and(3).or(n).xor(n).not().shl(n).shr(2), k.bfe(n, 3, n), k.bfe(s, n, 4).as('u32'));
      keepU(k.bfi(n, n, 3, n), k.popc(n), k.clz(s), k.brev(n), k.prmt(n, n, 0x1234).as('u32'));
      keepU(k.lop3(n, n, 3, 0x96), k.funnelLeft(n, n, 3), k.funnelRight(n, n, n));
    });
    k.section('floats', () => {
      keep(f.add(1.5), f.sub(f), f.mul(f), k.fma(f, f, -0), f.min(f), f.max(1 / 0), f.neg().abs());
      keep(k.fadd(f, f, { ftz: true, sat: true }), k.fmul(f, f, { ftz: true }), k.minNan(f, f));
      keep(k.maxNan(f, NaN), k.ex2(f, { ftz: true }), k.ex2(f), k.lg2(f), k.lg2(f, { ftz: true }));
      keep(k.rcp(f), k.rsqrt(f), k.sqrt(f), k.sqrtRn(f), k.rcpRn(f), k.tanh(f), k.divRn(f, 3));
      keep(k.divFull(f, f));
      const hp = k.packF16x2(f, f, { relu: true });
      const bp = k.packBf16x2(f, f);
      const hs = k.ex2Packed(k.fma(hp, hp, hp).add(hp).sub(hp).mul(hp).min(hp).max(hp).neg().abs());
      const bs = k.maxNan(
        k.fma(bp, bp, bp).add(bp).sub(bp).mul(bp).min(bp).max(bp).neg().abs(),
        bp,
      );
      for (const v of k.split(hs)) keep(k.toF32(v.add(v).neg()));
      for (const v of k.split(bs)) keep(k.toF32(k.fma(v, v, v).add(v).abs()));
      if (sm >= 90) for (const v of k.split(k.ex2Packed(bp))) keep(k.toF32(v));
      keepU(k.join(k.toBf16(f), k.toBf16(f)).as('u32'), k.splat('f16x2', 1.5).as('u32'));
      keep(k.toF32(n), k.toF32(s), k.toF32(l), k.toF32(u), k.round(f, 'nearest'));
      keepU(k.toS32(f, 'down').as('u32'), k.toU32(f, 'up'), k.narrow(k.widen(n)));
      if (sm >= 89) {
        const e = k.cvtE4m3x2(f, f);
        keepU(
          k.cvtE4m3x2ToF16x2(e).as('u32'),
          k.cvtE4m3x2ToF16x2(k.cvtE4m3x2FromF16x2(hp)).as('u32'),
        );
      }
    });
    k.section('offsets below 0', () => {
      keep(x.at(-1).load(), k.shared.floats.at(n).at(-2).load());
    });
    k.section('compare and select', () => {
      const p = f.lt(1).and(f.ge(f)).or(n.ne(3)).xor(s.gt(-1)).not();
      keep(k.select(p, f, 3), k.select(f.unordered('lt', 2), 1, f, 'f32'));
      keepU(k.select(f.isNan(), n, 1), k.narrow(k.select(u.eq(3n).or(l.le(2)), u, 5n)));
      const flag = k.var('pred', true);
      k.if(p, () => flag.set(false));
      k.if(flag, () => keep(f));
      const [lo, hi] = k.split64(k.join64(n, s));
      keepU(lo.as('u32'), hi.as('u32'), k.copy(n), k.constant('u32', 0xffffffff));
    });
    k.section('memory', () => {
      keep(
        x.load({ nc: true, l1: 'none', l2Prefetch: 128 }),
        x.load({ l1: 'last', l2Prefetch: 256 }),
      );
      keep(...x.loadVec(4, { nc: true }), ...x.loadVec(2), x.loadIf(f.gt(0), 0));
      keep(x.load({ acquire: 'gpu' }), x.load({ relaxed: 'sys' }));
      keepU(
        b.load(),
        b.as('s8').load().as('u32'),
        b.as('s16').load().as('u32'),
        b.as('u16').load(),
      );
      keepU(k.narrow(w.loadVec(2)[1]), w.address().lt(3n).and(n.lt(2)) && n);
      out.store(f, { l1: 'first' });
      out.storeVec([f, f, f, 0]);
      out.store(f, { release: 'gpu' });
      out.store(f, { relaxed: 'cta' });
      h.store(k.toBf16(f));
      b.store(n);
      const keepLines = k.cachePolicy('evict_last');
      const half = k.cachePolicy('evict_first', 0.5);
      keep(x.load({ nc: true, l1: 'none', l2Prefetch: 256, l2Policy: keepLines }));
      keep(...x.loadVec(4, { l2Policy: half }));
      out.storeVec([f, f], { l2Policy: half, l1: 'last' });
      k.cpAsync(k.shared.words.at(4), x.as('u32'), 16, {
        sourceBytes: n,
        l2Policy: keepLines,
        l2Prefetch: 64,
      });
      w.store(7n);
      out.prefetch('L2');
      out.prefetch('L1');
      keep(
        k
          .constArray('f32', new Float32Array([1, 2, 3]))
          .at(n.and(1))
          .load(),
      );
      k.shared.floats.at(n).store(f);
      keep(
        ...k.shared.floats.at(k.laneId.shl(2)).loadVec(4),
        k.shared.floats.at(3).load({ volatile: true }),
      );
    });
    k.section('asynchronous copies', () => {
      k.cpAsync(k.shared.tile.at(n, 8), h, 16, { sourceBytes: n, l2Prefetch: 128 });
      k.cpAsync(k.shared.tile.at(3, 8), h.at(8), 16, { cacheL1: true });
      k.cpAsync(k.shared.words.at(n), x.as('u32'), 4, { sourceBytes: 2 });
      k.cpAsync(k.shared.words.at(2), x.as('u32'), 8);
      k.cpAsyncCommit();
      k.cpAsyncWait(1);
      k.cpAsyncWaitAll();
    });
    k.section('matrices', () => {
      const row = k.shared.tile.row(k.laneId.and(15));
      const acc = k.vars('f32', 4, 0);
      const a = k.ldmatrix(row.at(16), 4);
      const v = k.ldmatrix(row.at(n.shl(3)), 2, { trans: true });
      const half = k.ldmatrix(row.at(0).as('f16'), 4);
      k.mma('bf16', acc, a, v);
      k.mma('f16', acc, half, [half[0], half[1]]);
      keepU(k.ldmatrix(row.at(8), 1)[0].as('u32'));
      if (sm >= 89) {
        const e = k.ldmatrix(k.shared.bytes.at(k.laneId.and(15), n), 4);
        k.mma('e4m3', acc, e, [e[0], e[1]]);
      }
      if (sm >= 90) {
        k.stmatrix(row.at(0), a);
        k.stmatrix(row.at(0), v, { trans: true });
        k.stmatrix(row.at(0), [a[0]]);
      }
      keep(...acc);
    });
    k.section('warp', () => {
      keep(
        k.shuffle(f, 3),
        k.shuffleXor(f, 16),
        k.shuffleUp(f, n),
        k.shuffleDown(f, 1, { width: 8, mask: 0xff }),
      );
      k.if(
        k
          .all(n.lt(3))
          .and(k.any(n.gt(1)))
          .or(k.uniform(n.eq(2), 0xffff)),
        () => keep(f),
      );
      keepU(k.ballot(n.lt(9)).as('u32'), k.matchAny(n).as('u32'), k.activeMask().as('u32'));
      const [lanes, same] = k.matchAll(f);
      keepU(
        lanes.as('u32'),
        k.select(same, n, 1),
        k.reduce('add', n),
        k.reduce('min', s).as('u32'),
      );
      keepU(k.reduce('xor', n.as('b32')).as('u32'));
    });
    k.section('atomics', () => {
      const word = k.shared.words.at(0);
      keepU(k.atomicAdd(word, 1), k.atomicMin(word, 3), k.atomicMax(word.as('s32'), -1).as('u32'));
      keepU(
        k.atomicAnd(word, 7),
        k.atomicOr(word, n),
        k.atomicXor(word, 1),
        k.atomicExchange(word, 1),
      );
      keepU(
        k.atomicCas(word, 1, n),
        k.atomicCas(x.as('u32'), 0, 1, { order: 'acq_rel', scope: 'sys' }),
      );
      keepU(
        k.narrow(k.atomicAdd(w, 1n)),
        k.narrow(k.atomicMax(w, u)),
        k.atomicAdd(x.as('s32'), 1).as('u32'),
      );
      keep(k.atomicAdd(x, 1.5, { order: 'release' }), k.atomicExchange(x, f));
      k.reduceAdd(k.shared.floats.at(0), f);
      k.reduceAdd(x.as('f16x2'), k.splat('f16x2', 1));
      if (sm >= 90) k.reduceAdd(x.as('bf16x2'), k.splat('bf16x2', 1));
      k.reduceMin(x.as('s32'), s);
      k.reduceMax(x.as('u32'), n, { order: 'release', scope: 'gpu' });
      k.reduceAnd(x.as('b32'), 0xff);
      k.reduceOr(w, 1n);
      k.reduceXor(x.as('u32'), n);
    });
    k.section('control', () => {
      k.barrier();
      k.barrier(1, 64);
      k.barrierArrive(2, 128);
      const any = k.barrierAny(k.laneId.eq(0));
      const all = k.barrierAll(any, k.threadIdx.x.and(7), 64);
      keepU(k.select(all, 1, 0, 'u32'));
      k.syncWarp();
      k.syncWarp(0xff);
      k.fence('cta');
      k.fence('gpu');
      k.fence('sys', 'sc');
      if (sm >= 90) {
        k.fence('cluster');
        k.launchDependents();
        k.waitForDependencies();
      }
      k.nanosleep(100);
      keepU(
        k.special('smid'),
        k.special('lanemask_lt'),
        k.narrow(k.clock64()),
        k.gridDim.y,
        k.warpId,
      );
      k.for({ to: n, step: 2, name: 'i', unroll: false }, (i, loop) => {
        loop.continueIf(i.eq(3));
        k.for({ from: s, to: s.add(3) }, (j) => keepU(j.as('u32')));
        k.if(
          i.gt(9),
          () => loop.break(),
          () => keepU(i),
        );
      });
      k.for({ from: 9, to: 3, step: -2 }, (i) => keepU(i));
      k.while(
        () => x.load({ relaxed: 'gpu' }).lt(1),
        (loop) => loop.breakIf(f.gt(3)),
      );
      k.loop((loop) => loop.break());
      k.role('producer', k.warpId.eq(0), () => k.if(n.eq(77), () => k.trap()));
      k.if(n.eq(78), () => k.exit());
    });
  },
);

describe('every instruction', () => {
  for (const target of assembledTargets) {
    it.skipIf(!hasPtxas)(`assembles for ${target} (needs ptxas)`, () => {
      const report = assemble(emitPtx(everything, target), target);
      expect(report.log).not.toMatch(/error/);
      expect(report.ok).toBe(true);
    });
  }
});
