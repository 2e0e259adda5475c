import { describe, expect, it } from 'vitest';
import { goldenKernels } from '../golden/index.ts';
import {
  defineKernel,
  emitPtx,
  field,
  global,
  type KernelBuilder,
  type Ops,
  type PointerParam,
} from '../index.ts';
import { type AttendMistake, attendKernel } from '../testing/attend.ts';
import { assemble, hasPtxas } from '../testing/ptxas.ts';

const shared = {
  a: field('bf16', [2, 64, 128], { swizzle: '128B', arrangement: 'tiles' }),
  e: field('e4m3', [64, 128], { swizzle: '128B' }),
  few: field('bf16', [8, 64], { swizzle: '128B' }),
  narrow: field('f16', [64, 32], { swizzle: '64B' }),
} as const;

type K = KernelBuilder<{ out: PointerParam<'f32'> }, typeof shared>;

const kernelOf = (build: (k: K) => void, options: { minBlocksPerSm?: number } = {}) =>
  defineKernel(
    { name: 'test_kernel', params: { out: global('f32') }, shared, block: [128], ...options },
    (k) => build(k),
  );

/** The emitted instructions, without declarations and comments. */
const linesOf = (build: (k: K) => void): string[] =>
  emitPtx(kernelOf(build, { minBlocksPerSm: 1 }), 'sm_90a', { locations: false })
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(wgmma|setmaxnreg|elect|add|or|shr|and)/.test(line));

const error = (build: (k: K) => void, target = 'sm_90a') => {
  try {
    kernelOf(build).program(target);
  } catch (e) {
    return (e as Error).message;
  }
  return 'none';
};

describe('text', () => {
  it('of a product from shared memory: a step of the depth is one addition', () => {
    const lines = linesOf((k) => {
      const acc = k.vars('f32', 4);
      const a = k.shared.a.kMajor(0, 0, 0);
      const b = k.shared.few.kMajor(0, 0);
      k.wgmmaFence();
      for (const d of [0, 16]) k.wgmma('bf16', acc, a.at(0, d), b.at(0, d), { accumulate: d > 0 });
      k.wgmmaCommit();
      k.wgmmaWait(1);
      k.wgmmaWait(0);
    });
    expect(lines).toMatchInlineSnapshot(`
      [
        "and.b32 %r1, %r0, 262143;",
        "shr.u32 %r2, %r1, 4;",
        "or.b32 %r3, %r2, 65536;",
        "add.u32 %r4, %r0, 40960;",
        "and.b32 %r5, %r4, 262143;",
        "shr.u32 %r6, %r5, 4;",
        "or.b32 %r7, %r6, 65536;",
        "wgmma.fence.sync.aligned;",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f0, %f1, %f2, %f3}, %rd0, %rd1, %p0, 1, 1, 0, 0;",
        "add.u32 %r9, %r3, 2;",
        "add.u32 %r10, %r7, 2;",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f0, %f1, %f2, %f3}, %rd2, %rd3, %p1, 1, 1, 0, 0;",
        "wgmma.commit_group.sync.aligned;",
        "wgmma.wait_group.sync.aligned 1;",
        "wgmma.wait_group.sync.aligned 0;",
      ]
    `);
  });

  it('of a product with fragments and transposed values', () => {
    const lines = linesOf((k) => {
      const acc = k.vars('f32', 64, 0);
      const a = [0, 1, 2, 3].map((i) => k.constant('b32', i).as('bf16x2'));
      const flag = k.threadIdx.x.lt(500);
      const v = k.shared.a.mnMajor(1, 0, 0);
      k.wgmma('bf16', acc, a, v.at(16, 0), { accumulate: flag });
    });
    expect(lines.map((line) => line.replace(/\{%f0.*%f63\}/, '{…}'))).toMatchInlineSnapshot(`
      [
        "add.u32 %r6, %r0, 16384;",
        "and.b32 %r7, %r6, 262143;",
        "shr.u32 %r8, %r7, 4;",
        "or.b32 %r9, %r8, 33554432;",
        "add.u32 %r11, %r9, 128;",
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {…}, {%r1, %r2, %r3, %r4}, %rd0, %p0, 1, 1, 1;",
      ]
    `);
  });

  it('of e4m3, of A transposed, and of registers and elections', () => {
    const lines = linesOf((k) => {
      const acc = k.vars('f32', 4, 0);
      const e = k.shared.e.kMajor(0, 32);
      k.wgmma('e4m3', acc, e, e);
      k.wgmma('bf16', acc, k.shared.a.mnMajor(0, 16, 64), k.shared.few.kMajor(0, 0));
      k.setMaxRegisters(40, 'decrease');
      k.setMaxRegisters(232, 'increase');
      k.if(k.electSync(), () => k.params.out.store(1));
    });
    expect(lines).toMatchInlineSnapshot(`
      [
        "add.u32 %r1, %r0, 32768;",
        "and.b32 %r2, %r1, 262143;",
        "shr.u32 %r3, %r2, 4;",
        "or.b32 %r4, %r3, 65536;",
        "add.u32 %r6, %r4, 2;",
        "add.u32 %r7, %r4, 2;",
        "wgmma.mma_async.sync.aligned.m64n8k32.f32.e4m3.e4m3 {%f0, %f1, %f2, %f3}, %rd0, %rd1, %p0, 1, 1;",
        "and.b32 %r8, %r0, 262143;",
        "shr.u32 %r9, %r8, 4;",
        "or.b32 %r10, %r9, 33554432;",
        "add.u32 %r11, %r0, 40960;",
        "and.b32 %r12, %r11, 262143;",
        "shr.u32 %r13, %r12, 4;",
        "or.b32 %r14, %r13, 65536;",
        "add.u32 %r15, %r10, 640;",
        "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%f0, %f1, %f2, %f3}, %rd2, %rd3, %p0, 1, 1, 1, 0;",
        "setmaxnreg.dec.sync.aligned.u32 40;",
        "setmaxnreg.inc.sync.aligned.u32 232;",
        "elect.sync _|%p1, 0xffffffff;",
      ]
    `);
  });
});

describe('checks', () => {
  const acc = (k: Ops, n: number) => k.vars('f32', n / 2, 0);

  it('name what is wrong with an instruction', () => {
    expect(
      error((k) =>
        k.wgmma('bf16', acc(k, 12), k.shared.a.kMajor(0, 0, 0), k.shared.a.kMajor(0, 0, 0)),
      ),
    ).toContain('8 to 256 columns in steps of 8, not 12');
    expect(error((k) => k.wgmmaWait(8))).toContain('0 to 7 groups');
    expect(error((k) => k.setMaxRegisters(250, 'increase'))).toContain('steps of 8, not 250');
    expect(error((k) => k.setMaxRegisters(240, 'increase'))).toContain('without minBlocksPerSm');
    expect(error((k) => k.wgmmaFence(), 'sm_90')).toContain('needs sm_90a');
    expect(
      error((k) => {
        const a = k.constant('b32', 0).as('bf16x2');
        k.wgmma('bf16', acc(k, 8), [a, a], k.shared.few.kMajor(0, 0));
      }),
    ).toContain('4 registers of A, not 2');
  });

  it('name what is wrong with a matrix', () => {
    expect(error((k) => k.shared.a.kMajor(0, 4, 0))).toContain('multiples of 8 rows');
    expect(error((k) => k.shared.a.kMajor(0, 0, 8))).toContain('16 columns');
    expect(error((k) => k.shared.a.kMajor(0, 0))).toContain('3 dimensions');
    const few = (k: K) => k.shared.few.kMajor(0, 0);
    expect(error((k) => k.wgmma('bf16', acc(k, 16), k.shared.a.kMajor(0, 0, 0), few(k)))).toContain(
      '16×16 elements from [0, 0] are not all in shared field "few" [8, 64]',
    );
    expect(error((k) => k.wgmma('bf16', acc(k, 8), k.shared.a.kMajor(0, 8, 0), few(k)))).toContain(
      '64×16 elements from [8, 0]',
    );
    expect(
      error((k) => k.wgmma('bf16', acc(k, 8), k.shared.a.kMajor(0, 0, 0).at(0, 128), few(k))),
    ).toContain('from [0, 128]');
    expect(error((k) => k.wgmma('f16', acc(k, 8), k.shared.a.kMajor(0, 0, 0), few(k)))).toContain(
      'holds bf16, not f16',
    );
    expect(
      error((k) =>
        k.wgmma('f16', acc(k, 8), k.shared.a.kMajor(0, 0, 0).as('f16'), few(k).as('f16')),
      ),
    ).toBe('none');
    expect(error((k) => few(k).as('e4m3'))).toContain('not the size of e4m3');
    expect(
      error((k) =>
        k.wgmma('bf16', acc(k, 8), k.shared.a.kMajor(0, 0, 0), few(k), { transB: true }),
      ),
    ).toContain('K-major');
    expect(
      error((k) =>
        k.wgmma('bf16', acc(k, 64), k.shared.a.kMajor(0, 0, 0), k.shared.a.mnMajor(0, 0, 8)),
      ),
    ).toContain('start at a tile');
    expect(
      error((k) => {
        const e = k.shared.e.mnMajor(0, 0);
        k.wgmma('e4m3', acc(k, 8), e, e);
      }),
    ).toContain('only 16-bit matrices can be transposed');
    expect(
      error((k) => k.matrixDescriptor(k.shared.a.pointer, { swizzle: '128B', stride: 1000 })),
    ).toContain('multiples of 16 bytes');
  });
});

describe('the assembler', () => {
  const variants = ([256, 384] as const).flatMap((threads) =>
    (['registers', 'shared'] as const).flatMap((weights) =>
      ([0, 1] as const).map((pending) => ({ threads, weights, pending })),
    ),
  );
  it.skipIf(!hasPtxas).each(variants)(
    'leaves wgmma and setmaxnreg as written (needs ptxas): $threads threads, $weights, $pending pending',
    (variant) => {
      const { ok, notes, spillBytes, log } = assemble(
        emitPtx(attendKernel(variant), 'sm_90a'),
        'sm_90a',
      );
      expect({ ok, notes, spillBytes }, log).toEqual({ ok: true, notes: [], spillBytes: 0 });
    },
  );

  it.skipIf(!hasPtxas)('takes the golden kernels as they are (needs ptxas)', () => {
    for (const { name, kernel } of goldenKernels().filter((g) => g.family === 'wgmma')) {
      const { ok, notes, log } = assemble(emitPtx(kernel, 'sm_90a'), 'sm_90a');
      expect({ name, ok, notes }, log).toEqual({ name, ok: true, notes: [] });
    }
  });

  it.skipIf(!hasPtxas)('says what it did otherwise (needs ptxas)', () => {
    const notesOf = (mistake: AttendMistake) =>
      assemble(
        emitPtx(
          attendKernel({ weights: 'registers', threads: 256, pending: 0, mistake }),
          'sm_90a',
        ),
        'sm_90a',
      ).notes.join('\n');
    expect(notesOf('no fence before the first multiplication')).toContain('C7519');
    expect(notesOf('scores read before they are waited for')).toMatch(/C751\d/);
  });
});
