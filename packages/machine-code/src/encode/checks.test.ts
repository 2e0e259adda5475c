import { describe, expect, it } from 'vitest';
import {
  type Assembler,
  assemble,
  FeatureError,
  k,
  LabelError,
  MachineCodeError,
  OperandError,
  r8,
  rax,
  rbx,
  rdi,
  rsp,
  tmm,
  xmm,
  ymm,
  zmm,
} from '../index.ts';

const failing = (write: (a: Assembler) => void, features?: Parameters<typeof assemble>[1]) => {
  try {
    assemble(write, features);
  } catch (error) {
    if (error instanceof MachineCodeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('operands out of range', () => {
  it.each<[string, (a: Assembler) => void, Partial<MachineCodeError>]>([
    [
      'an immediate',
      (a) => a.shl(rax, 300),
      { subject: 'shl rax, 300, operand 2', expected: 'an integer from 0 to 255', actual: '300' },
    ],
    ['a fraction', (a) => a.add(rax, 1.5), { actual: '1.5' }],
    ['a constant of 33 bits', (a) => a.add(rax, 2 ** 32), { actual: '4294967296' }],
    [
      'a register without a bit in VEX',
      (a) => a.vpand(ymm(1), ymm(2), ymm(17)),
      { subject: 'vpand ymm1, ymm2, ymm17, operand 3', actual: 'ymm17' },
    ],
    ['a displacement', () => rdi.at(2 ** 31), { actual: '2147483648' }],
    ['a broken displacement', () => rdi.at(0.5), { actual: '0.5' }],
    ['an index', () => rdi.at(rsp), { actual: 'rsp' }],
    ['a scale', () => rax.times(3 as 2), { actual: '3' }],
    ['a register number', () => zmm(32), { actual: '32' }],
    ['k0 as a mask', (a) => a.vaddps(zmm(0).masked(k(0)), zmm(1), zmm(2)), { actual: 'k0' }],
    [
      'zeroing in memory or masks',
      (a) => a.vcmpps(k(1).masked(k(2)), zmm(1), zmm(2), 256),
      { actual: '256' },
    ],
    [
      'a gather without mask',
      (a) => a.vgatherdps(zmm(1) as never, rdi.at(zmm(2).times(4))),
      {
        expected: 'a mask',
      },
    ],
    [
      'a tile without stride',
      (a) => a.tileloadd(tmm(0), rdi.at(64)),
      {
        expected: 'a base and a row stride: `base.at(stride)`',
      },
    ],
    ['memory of an unknown size', (a) => a.inc(rdi.at()), { actual: 'memory of any size' }],
    ['memory of another size', (a) => a.vmovups(zmm(0), rdi.at().ymmword), { actual: '32 bytes' }],
    [
      'a broadcast of unknown length',
      (a) => a.vcvtneps2bf16(xmm(0), rdi.at().broadcast()),
      {
        remedy: 'Say it: `.broadcast(8)`.',
      },
    ],
    [
      'a broadcast of another length',
      (a) => a.vaddps(zmm(0), zmm(0), rdi.at().broadcast(8)),
      {
        subject: 'vaddps',
      },
    ],
    ['a tile twice', (a) => a.tdpbf16ps(tmm(0), tmm(1), tmm(1)), { actual: 'tmm1 twice' }],
    ['mixed lengths', (a) => a.vaddps(zmm(0), zmm(1), ymm(2) as never), { subject: 'vaddps' }],
    [
      'no operand at all',
      (a) => a.vaddps(undefined as never, zmm(1), zmm(2)),
      {
        actual: 'undefined',
      },
    ],
    [
      'a missing operand',
      (a) => (a.vaddps as (...o: unknown[]) => void)(zmm(1)),
      {
        actual: 'zmm1',
      },
    ],
  ])('%s', (_, write, parts) => {
    const error = failing(write);
    expect(error).toBeInstanceOf(OperandError);
    expect(error).toMatchObject(parts);
    expect(error.remedy).not.toBe('');
    expect(error.message).toBe(
      `${error.subject}: expected ${error.expected}, got ${error.actual}. ${error.remedy}`,
    );
  });

  it('takes numbers without sign for the width of the operation', () => {
    const { bytes } = assemble((a) => {
      a.add(rax.low32, 0xfffffff0);
      a.mov(rax, 0xffffffffffffffffn);
    });
    expect([...bytes]).toEqual([0x83, 0xc0, 0xf0, 0x48, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff]);
  });
});

describe('features', () => {
  it('are declared, with all that they imply', () => {
    const write = (a: Assembler) => a.vfmadd231ps(ymm(0), ymm(1), ymm(2));
    expect(assemble(write, { features: ['avx512f'] }).features).toEqual(['fma']);
    const error = failing(write, { features: ['avx2'] });
    expect(error).toBeInstanceOf(FeatureError);
    expect(error.expected).toBe('a kernel that declares fma or avx512f + avx512vl');
    expect(error.actual).toBe('avx2, avx');
  });

  it('choose between encodings', () => {
    const { bytes, features } = assemble((a) => a.vaddps(ymm(0), ymm(1), ymm(20)));
    expect(bytes[0]).toBe(0x62);
    expect(features).toEqual(['avx512f', 'avx512vl']);
  });
});

describe('labels', () => {
  it('must be placed once, by the code that made them', () => {
    expect(failing((a) => a.jmp(a.label('nowhere')))).toBeInstanceOf(LabelError);
    const twice = failing((a) => {
      const label = a.label('here');
      a.place(label);
      a.place(label);
    });
    expect(twice).toMatchObject({ subject: 'label here', name: 'LabelError' });
    let other: ReturnType<Assembler['label']> | undefined;
    assemble((a) => {
      other = a.label();
    });
    expect(failing((a) => a.jmp(other as never))).toMatchObject({ actual: 'one of other code' });
  });

  it('get numbers where names repeat', () => {
    const { labels } = assemble((a) => {
      for (let i = 0; i < 3; i++) {
        a.place(a.label('at'));
        a.nop();
      }
    });
    expect([...labels]).toEqual([
      ['at', 0],
      ['at_2', 1],
      ['at_3', 2],
    ]);
  });
});

describe('constants', () => {
  it('lie aligned behind the code, once each, and are reached from the instruction’s end', () => {
    const { bytes, codeBytes, labels } = assemble((a) => {
      a.vmulps(zmm(0), zmm(1), a.constant.f32(2).broadcast());
      a.vmulps(zmm(0), zmm(0), a.constant.f32(2).broadcast());
      a.vpermd(zmm(0), zmm(1), a.constant.u32(Array.from({ length: 16 }, (_, i) => 15 - i)));
      a.cmp(a.constant.u32(7).dword, 7);
      a.ret();
    });
    const view = new DataView(bytes.buffer);
    expect(codeBytes).toBe(10 + 10 + 10 + 7 + 1);
    expect([...labels.values()]).toEqual([64, 128, 132]);
    expect(view.getFloat32(128, true)).toBe(2);
    expect(view.getInt32(6, true)).toBe(128 - 10);
    expect(view.getInt32(16, true)).toBe(128 - 20);
    expect(view.getInt32(26, true)).toBe(64 - 30);
    expect(view.getInt32(32, true)).toBe(132 - 37); // before an immediate
  });

  it('are checked', () => {
    expect(failing((a) => a.constant.u8(256))).toMatchObject({ actual: '256' });
    expect(failing((a) => a.constant.u32(-1))).toMatchObject({ actual: '-1' });
    expect(failing((a) => a.constant.f32([]))).toBeInstanceOf(MachineCodeError);
  });
});

describe('compressed displacements', () => {
  it.each([
    [64, 7],
    [8128, 7],
    [-8192, 7],
    [8192, 10],
    [32, 10],
  ])('%i bytes take %i bytes of code', (displacement, size) => {
    const { bytes } = assemble((a) => a.vmovups(zmm(0), r8.at(displacement)));
    expect(bytes.length).toBe(size);
    expect(assemble((a) => a.vmovups(zmm(0), rbx.at(displacement))).bytes.length).toBe(size);
  });
});
