import { describe, expect, it } from 'vitest';
import { array, defineKernel, field, global, KernelBuildError } from '../index.ts';

/** Every `@ts-expect-error` below is a mistake that must not compile: `tsc` checks this file. */
describe('types', () => {
  it('keeps types apart at compile time', () => {
    const kernel = defineKernel(
      {
        name: 'types',
        params: { x: global('f32'), h: global('bf16'), n: 'u32', s: array('u64', 2) },
        shared: { tile: field('f16', [8, 64], { swizzle: '128B' }) },
        block: [32],
      },
      (k, { x, h, n, s }) => {
        const f = x.load();
        const i = k.constant('s32', 1);
        const wrong = () => {
          // @ts-expect-error f32 + u32
          f.add(n);
          // @ts-expect-error u32 + s32
          n.add(i);
          // @ts-expect-error no arithmetic on predicates
          n.lt(3).add(1);
          // @ts-expect-error no arithmetic on bits
          n.as('b32').add(1);
          // @ts-expect-error a 32-bit value is not 64 bits wide
          n.as('u64');
          // @ts-expect-error a bf16 value does not go through an f32 pointer
          x.store(h.load());
          // @ts-expect-error fma of mixed types
          k.fma(f, f, n);
          // @ts-expect-error a condition is a predicate
          k.if(n, () => {});
          // @ts-expect-error shared is not global
          k.cpAsync(x, x, 16);
          // @ts-expect-error element types of source and destination differ
          k.cpAsync(k.shared.tile.at(0, 0), x, 16);
          // @ts-expect-error fragments of f16 in a bf16 multiplication
          k.mma('bf16', k.vars('f32', 4, 0), k.ldmatrix(k.shared.tile.at(0, 0), 4), []);
          // @ts-expect-error no such field
          k.shared.other;
          // @ts-expect-error a value is no variable
          f.set(1);
          // @ts-expect-error no such parameter type: s is an array
          s.add(1);
          // @ts-expect-error f32 has no remainder
          f.rem(2);
        };
        expect(wrong).toBeTypeOf('function');
        x.store(f.add(1));
      },
    );
    // @ts-expect-error a missing parameter
    expect(() => kernel.packParams({ x: 0, h: 0, n: 1 })).toThrow(/"s" needs 2 value/);
    expect(kernel.program('sm_80').body.nodes.length).toBeGreaterThan(0);
  });

  it('refuses values outside of the block that computed them', () => {
    const kernel = defineKernel(
      { name: 'escape', params: { x: global('f32') }, block: [32] },
      (k, { x }) => {
        let inner = x.load();
        k.if(inner.gt(0), () => {
          inner = inner.add(1).named('inner');
        });
        x.store(inner);
      },
    );
    expect(() => kernel.program('sm_80')).toThrow(KernelBuildError);
    expect(() => kernel.program('sm_80')).toThrow(/types\.test\.ts:\d+: a f32 value "inner"/);
  });
});
