import { describe, expect, it } from 'vitest';
import {
  defineKernel,
  type FaultKind,
  field,
  global,
  type KernelBuilder,
  type PointerParam,
  SimMemory,
  simulate,
} from '../index.ts';
import { faultOf } from '../testing/run.ts';

const shared = {
  a: field('bf16', [64, 64], { swizzle: '128B' }),
  b: field('bf16', [64, 64], { swizzle: '128B' }),
} as const;

type K = KernelBuilder<{ out: PointerParam<'f32'> }, typeof shared>;

/** Fills both tiles with ones by all threads. */
function filled(k: K): void {
  const one = 0x3f803f80;
  k.for({ from: k.threadIdx.x.shl(2), to: 2 * 2048, step: k.blockDim.x.shl(2) }, (i) => {
    k.shared.a.pointer.as('u32').at(i).storeVec([one, one, one, one]);
  });
  k.fenceProxyAsync('shared::cta');
  k.barrier();
}

/** Sums of products: 16 · `count` in all registers of 8 columns. */
function multiply(k: K, count = 1) {
  const acc = k.vars('f32', 4);
  k.wgmmaFence();
  for (let i = 0; i < count; i++) {
    const from = (i % 4) * 16;
    const options = { accumulate: i > 0 };
    k.wgmma('bf16', acc, k.shared.a.kMajor(0, from), k.shared.b.kMajor(0, from), options);
  }
  k.wgmmaCommit();
  return acc;
}

function unfinished(k: K): void {
  filled(k);
  multiply(k);
}

function run(build: (k: K) => void, threads = 128): Float32Array {
  const kernel = defineKernel(
    { name: 'test_kernel', params: { out: global('f32') }, shared, block: [threads] },
    (k) => build(k),
  );
  const memory = new SimMemory();
  const out = memory.allocFrom(new Float32Array(threads));
  simulate(kernel, { grid: [1], memory, params: { out } });
  return new Float32Array(memory.read(out, threads * 4).buffer);
}

const fault = (kind: FaultKind, build: (k: K) => void, threads?: number) =>
  faultOf(kind, () => run(build, threads)).message;

describe('warp groups', () => {
  it('multiply one after the other and side by side', () => {
    const out = run((k) => {
      filled(k);
      const acc = multiply(k, 4);
      k.wgmmaWait(0);
      k.params.out.at(k.threadIdx.x).store(acc[0]);
    }, 256);
    expect([...new Set(out)]).toEqual([64]);
  });

  it('need four warps', () => {
    expect(fault('divergence', unfinished, 96)).toContain('four warps');
  });

  it('come to the same multiplications', () => {
    const some = (k: K, wait: boolean) => {
      filled(k);
      k.if(
        k.warpId.lt(3),
        () => {
          multiply(k);
          if (wait) k.wgmmaWait(0);
        },
        { uniform: true },
      );
    };
    expect(fault('divergence', (k) => some(k, false))).toContain('warp 0, warp 1, warp 2');
    expect(fault('deadlock', (k) => some(k, true))).toMatch(
      /the multiplication at .*warp-group\.test\.ts:\d+, to which only warp 0, warp 1, warp 2 came/,
    );
  });

  it('agree on operands', () => {
    const message = fault('divergence', (k) => {
      filled(k);
      const acc = k.vars('f32', 4, 0);
      k.wgmmaFence();
      const a = k.shared.a.kMajor(0, 0);
      const accumulate = k.warpId.ne(2);
      k.wgmma('bf16', acc, a, k.shared.b.kMajor(0, 0), { accumulate });
    });
    expect(message).toMatch(/warp [013] of the same warp group executes/);
    expect(message).toContain('with other operands');
    expect(
      fault('divergence', (k) => {
        filled(k);
        const acc = k.vars('f32', 4, 0);
        k.wgmmaFence();
        const accumulate = k.laneId.lt(3);
        k.wgmma('bf16', acc, k.shared.a.kMajor(0, 0), k.shared.b.kMajor(0, 0), { accumulate });
      }),
    ).toContain('disagree on whether to accumulate');
  });

  it('do not end with a multiplication in hand', () => {
    expect(fault('pending registers', unfinished)).toContain('ends with an unfinished wgmma');
  });

  it('wait now and then', () => {
    const message = fault('pending copy', (k) => {
      filled(k);
      multiply(k, 600);
    });
    expect(message).toContain('128th that reads this at once');
  });

  it('wait for older groups first', () => {
    const twoGroups = (k: K, pending: number) => {
      filled(k);
      const [first] = multiply(k);
      const [second] = multiply(k);
      k.wgmmaWait(1);
      k.params.out.at(k.threadIdx.x).store(pending === 0 ? second : first);
      k.wgmmaWait(0);
    };
    expect(run((k) => twoGroups(k, 1))[5]).toBe(16);
    expect(fault('pending registers', (k) => twoGroups(k, 0))).toContain(
      'reads an accumulator of an unfinished wgmma; wgmmaWait first',
    );
  });

  it('give accumulators to one shape at a time, without wait or fence between the same', () => {
    const again = (k: K, columns: number) => {
      filled(k);
      const acc = k.vars('f32', 8, 0);
      k.wgmmaFence();
      const a = k.shared.a.kMajor(0, 0);
      k.wgmma('bf16', acc, a, k.shared.b.kMajor(0, 0));
      k.wgmma('bf16', acc.slice(0, columns / 2), a, k.shared.b.kMajor(0, 0));
      k.wgmmaCommit();
      k.wgmmaWait(0);
      k.params.out.at(k.threadIdx.x).store(acc[0]);
    };
    expect(run((k) => again(k, 16))[0]).toBe(32);
    expect(fault('pending registers', (k) => again(k, 8))).toContain('takes as accumulator');
  });

  it('read no accumulator that they overwrite, and only set ones that they add to', () => {
    const once = (k: K, first: number) => {
      filled(k);
      const acc = k.vars('f32', 4);
      k.wgmmaFence();
      k.for({ from: first, to: 2, uniform: true }, (i) => {
        const options = { accumulate: i.gt(0) };
        k.wgmma('bf16', acc, k.shared.a.kMajor(0, 0), k.shared.b.kMajor(0, 0), options);
      });
      k.wgmmaCommit();
      k.wgmmaWait(0);
      k.params.out.at(k.threadIdx.x).store(acc[0]);
    };
    expect(run((k) => once(k, 0))[0]).toBe(32);
    expect(fault('uninitialised read', (k) => once(k, 1))).toContain('never set');
  });

  it('hold what they read, and let others write it after a barrier', () => {
    const write = (k: K, wait: boolean, barrier: boolean) => {
      filled(k);
      multiply(k);
      if (wait) k.wgmmaWait(0);
      if (barrier) k.barrier();
      k.shared.b.at(3, k.threadIdx.x.and(15)).store(k.toBf16(k.constant('f32', 2)));
      k.wgmmaWait(0);
    };
    run((k) => write(k, true, true), 128);
    const message = fault('pending copy', (k) => write(k, false, false));
    expect(message).toMatch(/overwrites what the wgmma at .*warp-group\.test\.ts:\d+ still reads/);
    fault('pending copy', (k) => write(k, true, false));
  });

  it('read only what is there, inside of the window and with a swizzle', () => {
    expect(
      fault('uninitialised read', (k) => {
        k.if(k.threadIdx.x.eq(0), () => k.shared.a.at(0, 0).store(k.toBf16(k.constant('f32', 2))));
        k.fenceProxyAsync();
        k.barrier();
        multiply(k);
      }),
    ).toContain('nobody wrote');
    const start = (k: K, bytes: number) =>
      k.matrixDescriptor(k.shared.b.pointer.bytes(bytes), { swizzle: '128B', stride: 1024 });
    fault('out of bounds', (k) => {
      filled(k);
      const acc = k.vars('f32', 4, 0);
      k.wgmmaFence();
      k.wgmma('bf16', acc, start(k, 4096), start(k, 0));
    });
  });
});
