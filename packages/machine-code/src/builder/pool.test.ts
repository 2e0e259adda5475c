import { describe, expect, it } from 'vitest';
import {
  defineKernel,
  type Feature,
  type KernelBuilder,
  KernelError,
  RegisterError,
  rax,
  rcx,
  type Zmm,
  zmm,
} from '../index.ts';

const building = (
  build: (k: KernelBuilder) => void,
  features: readonly Feature[] = ['avx512f', 'avx512vl'],
) => defineKernel({ name: 'pool', features, job: { x: 'pointer' } }, build).assemble('system-v');

describe('registers by name', () => {
  it('refuse what does not fit and name who holds the registers', () => {
    const build = () =>
      building((k) => {
        k.zmmBlock('acc', 6, 4);
        k.zmms('keys', 6);
        k.zmms('scores', 3);
      });
    expect(build).toThrow(RegisterError);
    expect(build).toThrow(
      'zmm register "scores": expected 1 free of 32, got 0 free; held by acc (24), keys (6), scores (2). End a scope',
    );
  });

  it('are sixteen vectors without AVX-512, fourteen general-purpose ones', () => {
    expect(() => building((k) => k.ymms('y', 17), ['avx2'])).toThrow(/0 free of 16|1 free of 16/);
    expect(() => building((k) => k.ymms('y', 16), ['avx2'])).not.toThrow();
    const gprs = (count: number) => () =>
      building((k) => {
        for (let i = 0; i < count; i++) k.gpr(`r${i}`);
      });
    expect(gprs(13)).not.toThrow();
    expect(gprs(14)).toThrow(/gpr64 register "r13": .* held by job, r0, r1/);
  });

  it('are free again when their scope ends', () => {
    building((k) => {
      const first = k.scope(() => k.zmm('a'));
      expect(k.zmm('b').number).toBe(first.number);
      k.free(k.zmm('c'));
      expect(k.zmm('d').number).toBe(1);
    });
  });

  it('may not be used after that', () => {
    const late = () =>
      building((k) => {
        let kept: Zmm | undefined;
        k.scope(() => {
          kept = k.zmm('inner');
        });
        const outer = k.zmm('outer');
        if (kept !== undefined) k.vaddps(outer, outer, kept);
      });
    expect(late).toThrow(
      'register "inner" (zmm0): expected a register that is still held, got one that was freed',
    );
    expect(() =>
      building((k) => {
        const a = k.zmm('a');
        k.free(a);
        k.free(a);
      }),
    ).toThrow(/"a" \(zmm0\): expected a register that is still held/);
    expect(() => building((k) => k.free(zmm(3)))).toThrow(/got one used by its own name/);
  });

  it('may not be used by another name while they are held', () => {
    expect(() =>
      building((k) => {
        const acc = k.zmm('acc');
        k.vmovaps(acc, zmm(0).zmm);
      }),
    ).toThrow(/register zmm0: .* got it is held by "acc"/);
    expect(() =>
      building((k) => {
        k.reserve(rcx, 'count');
        k.reserve(rcx, 'other');
      }),
    ).toThrow(
      'register rcx, wanted for "other": expected one that nobody holds, got it is held by',
    );
  });

  it('give the job’s register back on demand', () => {
    building((k) => {
      k.freeJob();
      for (let i = 0; i < 14; i++) k.gpr(`r${i}`);
    });
  });
});

describe('streams', () => {
  const adding = (k: KernelBuilder, name: string, count: number) =>
    k.record(name, () => {
      const x = k.zmm(`${name}_x`);
      for (let i = 0; i < count; i++) k.vaddps(x, x, x);
    });
  const texts = (build: (k: KernelBuilder) => void) =>
    building(build)
      .lines.filter(({ text }) => text.startsWith('vaddps') || text.startsWith('vmulps'))
      .map(({ text }) => text);

  it('are placed evenly between each other', () => {
    const lines = texts((k) => {
      const a = adding(k, 'a', 6);
      const b = adding(k, 'b', 3);
      k.weave(a, b);
    });
    const [a, b] = ['vaddps zmm0, zmm0, zmm0', 'vaddps zmm1, zmm1, zmm1'];
    expect(lines).toHaveLength(9);
    expect(lines.filter((line) => line === b)).toHaveLength(3);
    // Two of `a` for each of `b`, in any third of the code.
    for (const at of [0, 3, 6]) expect([...lines.slice(at, at + 3)].sort()).toEqual([a, a, b]);
  });

  it('keep their registers until their last instruction is placed', () => {
    building((k) => {
      const stream = adding(k, 'a', 2);
      const meanwhile = k.zmm('meanwhile');
      expect(meanwhile.number).toBe(1);
      stream.take(1);
      expect(k.zmm('other').number).toBe(2);
      stream.upTo(1);
      expect(stream.remaining).toBe(0);
      expect(k.zmm('after').number).toBe(0);
    });
  });

  it('reuse their own registers inside', () => {
    building((k) => {
      const numbers: number[] = [];
      const stream = k.record('s', () => {
        for (let i = 0; i < 3; i++) {
          k.scope(() => {
            const x = k.zmm('x');
            numbers.push(x.number);
            k.vaddps(x, x, x);
          });
        }
      });
      expect(numbers).toEqual([0, 0, 0]);
      stream.rest();
    });
  });

  it('need the registers of others until they are placed', () => {
    const late = () =>
      building((k) => {
        const outer = k.zmm('outer');
        const stream = k.record('s', () => k.vaddps(outer, outer, outer));
        k.free(outer);
        k.zmm('next');
        stream.rest();
      });
    expect(late).toThrow('register "outer" (zmm0): expected a register that is still held');
  });

  it('must be straight-line code, and be placed to the end', () => {
    expect(() => building((k) => k.record('s', () => k.loop(2, () => k.nop())))).toThrow(
      KernelError,
    );
    expect(() => building((k) => void adding(k, 's', 2))).toThrow(
      'stream "s" of kernel pool: expected every recorded instruction to be placed, got 2 of 2 are not',
    );
    expect(() => building((k) => k.record('a', () => void adding(k, 'b', 1)))).toThrow(
      /got one inside of "stream a"/,
    );
  });
});

describe('declarations', () => {
  it('are checked', () => {
    const declare = (options: object) => () =>
      defineKernel({ name: 'k', features: [], ...options }, () => {}).assemble('windows');
    expect(declare({ name: 'a b' })).toThrow(KernelError);
    expect(declare({ job: { a: 'pointer' }, args: ['a'] })).toThrow(/"a" twice/);
    expect(declare({ job: { a: 'u8' } })).toThrow(/field a of a job: .* got u8/);
    expect(declare({ args: ['a', 'b', 'c', 'd', 'e'] })).toThrow(/at most 4 arguments/);
  });

  it('refuse conditions whose flags may be gone, loops and frames that cannot be', () => {
    const condition = () =>
      building((k) => {
        const x = k.gpr('x', 1);
        const less = k.compare(x, 'lt', 5);
        k.inc(x);
        k.if(less, () => {});
      });
    expect(condition).toThrow(/condition "lt": expected the flags of the instruction just before/);
    expect(() => building((k) => k.loop(-1, () => {}))).toThrow(/0 or more, got -1/);
    expect(() => building((k) => k.for({ to: 5, step: 0 }, () => {}))).toThrow(/step .* got 0/);
    expect(() => building((k) => k.stack(5000))).toThrow(/within 4096 bytes/);
    expect(() => building((k) => k.configureTiles([{ rows: 17, rowBytes: 64 }]))).toThrow(
      /shape of tmm0/,
    );
    expect(() => building((k) => k.mov(rax.low32, 1))).not.toThrow();
  });

  it('pack jobs as C would', () => {
    const kernel = defineKernel(
      { name: 'k', features: [], job: { a: 'u32', p: 'pointer', f: 'f32', i: 'i32', d: 'f64' } },
      () => {},
    );
    const bytes = kernel.packJob({ a: 0xffffffff, p: 1n << 40n, f: 1.5, i: -2, d: 0.25 });
    const view = new DataView(bytes.buffer);
    expect(bytes.length).toBe(32);
    expect(view.getUint32(0, true)).toBe(0xffffffff);
    expect(view.getBigUint64(8, true)).toBe(1n << 40n);
    expect(view.getFloat32(16, true)).toBe(1.5);
    expect(view.getInt32(20, true)).toBe(-2);
    expect(view.getFloat64(24, true)).toBe(0.25);
    const values = { a: 0, p: 0, f: 0, i: 0, d: 0 };
    expect(() => kernel.packJob({ ...values, a: -1 })).toThrow(/an integer from 0 to 4294967295/);
    expect(() => kernel.packJob({ ...values, b: 1 } as never)).toThrow(/a field it does not have/);
  });
});
