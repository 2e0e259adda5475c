import { describe, expect, it } from 'vitest';
import { assemble, defineKernel, k, rax, rdi, tmm, xmm, ymm, zmm } from '../index.ts';

/** Every `@ts-expect-error` below is a mistake that must not compile: `tsc` checks this file. */
describe('types', () => {
  it('keep registers apart at compile time', () => {
    assemble((a) => {
      const wrong = () => {
        // @ts-expect-error a ymm register in an instruction on zmm registers
        a.vaddps(zmm(0), zmm(1), ymm(2));
        // @ts-expect-error 64 bits are not 32
        a.add(rax, rax.low32);
        // @ts-expect-error a vector is no general-purpose register
        a.add(rax, xmm(0));
        // @ts-expect-error a general-purpose register is no vector
        a.vaddps(xmm(0), xmm(1), rax);
        // @ts-expect-error a mask is no tile
        a.tilezero(k(1));
        // @ts-expect-error a tile is no vector
        a.vmovaps(zmm(0), tmm(0));
        // @ts-expect-error there is no such form of 128 bits
        a.vpermd(xmm(0), xmm(1), xmm(2));
        // @ts-expect-error AVX2's instruction has no form of 512 bits
        a.vpand(zmm(0), zmm(1), zmm(2));
        // @ts-expect-error sources are not masked
        a.vaddps(zmm(0), zmm(1).masked(k(1)), zmm(2));
        // @ts-expect-error VEX operations on general-purpose registers have no masks
        a.shlx(rax, rax, k(1));
        // @ts-expect-error a number is no memory
        a.vmovups(zmm(0), 64);
        // @ts-expect-error a gather's index is a vector
        a.vgatherdps(zmm(0).masked(k(1)), rdi.at(rax));
        // @ts-expect-error a plain load's index is no vector
        a.vmovups(zmm(0), rdi.at(zmm(1).times(4)));
        // @ts-expect-error half as wide: the result of narrowing zmm is ymm
        a.vcvtneps2bf16(zmm(0), zmm(1));
        // @ts-expect-error a scale is 1, 2, 4 or 8
        rax.times(3);
        // @ts-expect-error jumps go to labels
        a.jne('again');
        // @ts-expect-error one operand too many
        a.ret(rax);
        // @ts-expect-error no such instruction
        a.vaddxs(zmm(0), zmm(1), zmm(2));
      };
      expect(wrong).toBeTypeOf('function');
      a.vaddps(zmm(0).masked(k(1)), zmm(1), rdi.at(64).broadcast());
      a.vcvtneps2bf16(ymm(0), zmm(1));
      a.kmovw(k(1), rax.low32);
      a.tdpbf16ps(tmm(0), tmm(1), tmm(2));
    });
  });

  it('know a job’s fields and a kernel’s arguments', () => {
    const kernel = defineKernel(
      { name: 'typed', features: ['avx'], job: { x: 'pointer', scale: 'f32' }, args: ['index'] },
      (kb, { x, scale, index }) => {
        const wrong = () => {
          // @ts-expect-error a number that is a field in memory is no register
          kb.add(rax, scale.at());
          // @ts-expect-error registers of another width
          kb.vaddps(kb.ymm('a'), kb.ymm('b'), kb.xmm('c'));
          // @ts-expect-error a condition is made by a comparison
          kb.if(true, () => {});
        };
        expect(wrong).toBeTypeOf('function');
        kb.add(index, x);
        kb.vbroadcastss(kb.ymm('scale'), scale);
      },
    );
    // @ts-expect-error a field is missing
    expect(() => kernel.packJob({ x: 0n })).toThrow(
      /scale of the job: expected a value of type f32/,
    );
    // @ts-expect-error an f32 is a number
    expect(() => kernel.packJob({ x: 0n, scale: 1n })).toThrow(/a number of type f32, got 1n/);
    expect(kernel.assemble('windows').bytes.length).toBeGreaterThan(0);
  });
});
