import { describe, expect, it } from 'vitest';
import { defineKernel } from '../builder/kernel.ts';
import { matmulBf16 } from '../examples/matmul_bf16.ts';
import { vectorAdd } from '../examples/vector_add.ts';
import { assemble, assembledTargets, hasPtxas } from '../testing/ptxas.ts';
import { emitPtx } from './emit.ts';

describe('emitPtx', () => {
  it('prints a whole kernel', () => {
    expect(emitPtx(vectorAdd, 'sm_80', { locations: false })).toMatchInlineSnapshot(`
      ".version 7.0
      .target sm_80
      .address_size 64

      .visible .entry vector_add(
        .param .u64 x,
        .param .u64 y,
        .param .u64 z,
        .param .u32 n
      )
      .reqntid 256, 1, 1
      {
        .reg .b32 %r<3>;
        .reg .pred %p<1>;
        .reg .b64 %rd<3>;
        .reg .b32 %f<3>;
        .reg .b64 %x, %y, %z;
        .reg .b32 %n, %i;

        ld.param.b64 %x, [x];
        ld.param.b64 %y, [y];
        ld.param.b64 %z, [z];
        ld.param.b32 %n, [n];
        mov.u32 %r0, %ctaid.x;
        mov.u32 %r1, %ntid.x;
        mov.u32 %r2, %tid.x;
        mad.lo.u32 %i, %r0, %r1, %r2;
        setp.lt.u32 %p0, %i, %n;
        @!%p0 bra $endif_0;
          mad.wide.u32 %rd0, %i, 4, %z;
          mad.wide.u32 %rd1, %i, 4, %x;
          ld.global.b32 %f0, [%rd1];
          mad.wide.u32 %rd2, %i, 4, %y;
          ld.global.b32 %f1, [%rd2];
          add.rn.f32 %f2, %f0, %f1;
          st.global.b32 [%rd0], %f2;
      $endif_0:
        ret;
      }
      "
    `);
  });

  it('names the TypeScript line above the instructions that came from it', () => {
    const lines = emitPtx(vectorAdd, 'sm_90a').split('\n');
    const load = lines.findIndex((line) => line.includes('mad.wide.u32'));
    expect(lines[load - 1]).toMatch(/\/\/ packages\/ptx\/src\/examples\/vector_add\.ts:\d+$/);
  });

  it('puts nounroll where the assembler looks for it: first in the loop, behind its label', () => {
    const kernel = defineKernel({ name: 'rolled', params: { n: 'u32' }, block: [32] }, (k, { n }) =>
      k.for({ to: n, name: 'i', unroll: false }, (i) => k.if(i.gt(9), () => k.trap())),
    );
    const lines = emitPtx(kernel, 'sm_80', { locations: false }).split('\n');
    const pragma = lines.findIndex((line) => line.includes('.pragma "nounroll";'));
    expect(lines[pragma - 1]).toBe('$i_0:');
  });

  it('gives the same text every time', () => {
    const again = { program: (target: string) => ({ ...vectorAdd.program(target, true) }) };
    expect(emitPtx(again, 'sm_80')).toBe(emitPtx(vectorAdd, 'sm_80'));
  });

  it.skipIf(!hasPtxas)('examples assemble everywhere without spills (needs ptxas)', () => {
    for (const target of assembledTargets) {
      for (const kernel of [vectorAdd, matmulBf16]) {
        const report = assemble(emitPtx(kernel, target), target);
        expect(report.log).not.toMatch(/error|warning/);
        expect(report).toMatchObject({ ok: true, spillBytes: 0, stackBytes: 0 });
      }
    }
  });
});
