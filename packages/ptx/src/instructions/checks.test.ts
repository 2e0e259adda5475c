import { describe, expect, it } from 'vitest';
import {
  defineKernel,
  emitPtx,
  field,
  global,
  KernelBuildError,
  type KernelBuilder,
  type PointerParam,
  parseTarget,
  UnsupportedInstructionError,
} from '../index.ts';

type Builder = KernelBuilder<
  { x: PointerParam<'f32'>; n: 'u32'; l: 'u64' },
  { s: ReturnType<typeof field<'bf16'>> }
>;

/** Emits a kernel with these instructions. */
function emit(build: (k: Builder) => void, target = 'sm_80'): string {
  const kernel = defineKernel(
    {
      name: 'checks',
      params: { x: global('f32'), n: 'u32', l: 'u64' },
      shared: { s: field('bf16', [8, 64]) },
      block: [32],
    },
    (k) => build(k as unknown as Builder),
  );
  return emitPtx(kernel, target, { locations: false });
}

describe('operand checks', () => {
  const refused: [string, (k: Builder) => unknown, RegExp][] = [
    ['constants beyond the type', (k) => k.params.n.add(2 ** 32), /does not fit u32/],
    ['fractions for integers', (k) => k.params.n.add(1.5), /is not an integer/],
    ['truth tables beyond a byte', (k) => k.lop3(k.params.n, 1, 2, 256), /from 0 to 255, not 256/],
    ['accesses of more than 16 bytes', (k) => k.params.x.as('u64').loadVec(4), /at most 16/],
    [
      'stores of three elements',
      (k) => k.params.x.storeVec([1, 2, 3]),
      /1, 2 or 4 elements, not 3/,
    ],
    ['hints on shared memory', (k) => k.shared.s.at(0, 0).load({ l1: 'last' }), /need global/],
    [
      'ordered read-only loads',
      (k) => k.params.x.load({ nc: true, acquire: 'gpu' }),
      /cannot be ordered/,
    ],
    [
      'two orders at once',
      (k) => k.params.x.load({ relaxed: 'gpu', volatile: true }),
      /choose one/,
    ],
    ['stores to constants', (k) => k.constArray('f32', new Float32Array(4)).store(1), /read-only/],
    ['barriers beyond 15', (k) => k.barrier(16), /0 to 15, not 16/],
    ['barriers of half warps', (k) => k.barrier(1, 48), /multiple of 32/],
    ['negative group counts', (k) => k.cpAsyncWait(-1), /from 0 up/],
    [
      'small copies around L1',
      (k) => k.cpAsync(k.shared.s.pointer.as('f32'), k.params.x, 4, { cacheL1: false }),
      /16-byte copies/,
    ],
    [
      'reductions that acquire',
      (k) => k.reduceAdd(k.params.x, 1, { order: 'acquire' }),
      /cannot acquire/,
    ],
    ['minima of f32 in memory', (k) => k.reduceMin(k.params.x, 1), /no min for f32/],
    [
      'breaking out of no loop',
      (k) => {
        let leave = () => {};
        k.loop((loop) => {
          leave = () => loop.break();
          loop.break();
        });
        leave();
      },
      /break outside of its loop/,
    ],
    ['reading as another width', (k) => k.params.n.as('u64' as never), /widths differ/],
    [
      'selecting between two constants without a type',
      (k) => k.select(k.params.n.eq(1), 1 as never, 2 as never),
      /needs the type/,
    ],
    ['shared memory at 64-bit indices', (k) => k.shared.s.pointer.at(k.params.l), /32-bit/],
    [
      'too few fragments',
      (k) => k.mma('bf16', k.vars('f32', 4, 0), [], []),
      /4 accumulator, 4 A and 2 B/,
    ],
  ];
  for (const [what, build, message] of refused) {
    it(`refuse ${what}`, () => {
      expect(() => emit((k) => void build(k))).toThrow(message);
    });
  }

  it('name kernel, file and line', () => {
    expect(() => emit((k) => k.barrier(16))).toThrow(KernelBuildError);
    expect(() => emit((k) => k.barrier(16))).toThrow(
      /^kernel checks, packages\/ptx\/src\/instructions\/checks\.test\.ts:\d+: bar\.sync: /,
    );
  });
});

describe('requirements', () => {
  it('refuse instructions that the target lacks, and say what is missing', () => {
    const stmatrix = (k: Builder) =>
      k.stmatrix(k.shared.s.at(k.laneId.and(7), 0), [k.splat('bf16x2', 1)]);
    expect(() => emit(stmatrix, 'sm_89')).toThrow(UnsupportedInstructionError);
    expect(() => emit(stmatrix, 'sm_89')).toThrow('stmatrix needs sm_90; the target is sm_89');
    expect(emit(stmatrix, 'sm_90')).toContain('stmatrix.sync.aligned.m8n8.x1.shared.b16');
    expect(() => emit((k) => k.cvtE4m3x2(k.constant('f32', 1), k.constant('f32', 1)))).toThrow(
      'needs sm_89',
    );
    expect(() => emit((k) => k.launchDependents(), 'sm_89')).toThrow('needs sm_90');
    expect(() => parseTarget('sm_75')).toThrow('unknown target "sm_75"');
  });

  it('choose the lowest PTX version that suffices', () => {
    const version = (target: string, build: (k: Builder) => void = () => {}) =>
      /\.version (\S+)/.exec(emit(build, target))?.[1];
    expect(version('sm_80')).toBe('7.0');
    expect(version('sm_90a')).toBe('8.0');
    expect(version('sm_120')).toBe('8.7');
    expect(version('sm_80', (k) => void k.params.x.load({ l1: 'none' }))).toBe('7.4');
    const fp8 = (k: Builder) => void k.cvtE4m3x2(k.constant('f32', 1), k.constant('f32', 1));
    expect(version('sm_89', fp8)).toBe('8.1');
  });
});

describe('emitted text', () => {
  const line = (build: (k: Builder) => void, pattern: RegExp, target?: string) =>
    emit(build, target)
      .split('\n')
      .find((text) => pattern.test(text))
      ?.trim();

  it('folds constant parts of addresses into the instruction', () => {
    expect(line((k) => void k.params.x.at(3).bytes(8).loadVec(2), /ld\.global/)).toBe(
      'ld.global.v2.b32 {%f0, %f1}, [%x+20];',
    );
    expect(line((k) => k.shared.s.at(1, 2).as('b32').store(1), /st\.shared/)).toBe(
      'st.shared.b32 [%r0+132], 0x1;',
    );
  });

  it('spells cache hints, orders and scopes', () => {
    expect(
      line((k) => void k.params.x.load({ nc: true, l1: 'none', l2Prefetch: 256 }), /ld\.g/),
    ).toContain('ld.global.nc.L1::no_allocate.L2::256B.b32');
    expect(line((k) => void k.params.x.load({ acquire: 'sys' }), /ld\./)).toContain('ld.param');
    expect(line((k) => void k.params.x.load({ acquire: 'sys' }), /acquire/)).toContain(
      'ld.acquire.sys.global.b32',
    );
    expect(line((k) => void k.atomicAdd(k.params.x, 1, { order: 'acq_rel' }), /atom/)).toBe(
      'atom.acq_rel.gpu.global.add.f32 %f0, [%x+0], 0f3f800000;',
    );
    expect(line((k) => k.reduceAdd(k.params.x.as('s64'), -1n), /red\./)).toBe(
      'red.relaxed.gpu.global.add.u64 [%x+0], -1;',
    );
  });

  it('turns short branches into predicated instructions, but never collective ones', () => {
    expect(line((k) => k.if(k.params.n.eq(1), () => k.params.x.store(2)), /st\./)).toBe(
      '@%p0 st.global.b32 [%x], 0f40000000;',
    );
    expect(line((k) => k.if(k.params.n.eq(1), () => k.barrier()), /bra/)).toBe(
      '@!%p0 bra $endif_0;',
    );
    const self = (k: Builder) => {
      const p = k.var('pred', true);
      k.if(p, () => p.set(false));
    };
    expect(line(self, /bra/)).toContain('$endif_0');
  });

  it('lowers bfloat16 sums to fma where the target has no other way', () => {
    const sum = (k: Builder) => void k.splat('bf16x2', 1).add(k.splat('bf16x2', 2));
    expect(line(sum, /fma/, 'sm_89')).toContain('fma.rn.bf16x2');
    expect(line(sum, /add\./, 'sm_90')).toContain('add.rn.bf16x2');
  });

  it('keeps names apart from one another and from PTX itself', () => {
    const text = emit((k) => {
      for (const name of ['row', 'row', 'tid', 'f1', 'a b']) k.params.n.add(5).named(name);
    });
    for (const name of ['%row,', '%row_2,', '%tid_,', '%f1_,', '%a_b,'])
      expect(text).toContain(`add.u32 ${name}`);
  });
});
