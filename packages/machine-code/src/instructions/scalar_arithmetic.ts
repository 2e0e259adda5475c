import { either, form, writing } from './form.ts';

/** `digit` numbers the eight operations that share their opcodes' low bits. */
const arithmetic = (digit: number) => {
  const opcode = (low: number) => (digit * 8 + low).toString(16).toUpperCase().padStart(2, '0');
  return either(
    form('r64/m64, r64', `REX.W ${opcode(1)} /r`),
    form('r32/m32, r32', `${opcode(1)} /r`),
    form('r8/m8, r8', `${opcode(0)} /r`),
    form('r64, r64/m64', `REX.W ${opcode(3)} /r`),
    form('r32, r32/m32', `${opcode(3)} /r`),
    form('r8, r8/m8', `${opcode(2)} /r`),
    form('r64/m64, imm8', `REX.W 83 /${digit} ib`),
    form('r32/m32, imm8', `83 /${digit} ib`),
    form('m16, imm8', `66 83 /${digit} ib`),
    form('al, imm8', `${opcode(4)} ib`),
    form('r8/m8, imm8', `80 /${digit} ib`),
    form('eax, imm32', `${opcode(5)} id`),
    form('rax, imm32', `REX.W ${opcode(5)} id`),
    form('r64/m64, imm32', `REX.W 81 /${digit} id`),
    form('r32/m32, imm32', `81 /${digit} id`),
  );
};

const shift = (digit: number) =>
  either(
    form('r64/m64, 1', `REX.W D1 /${digit}`),
    form('r32/m32, 1', `D1 /${digit}`),
    form('r64/m64, uimm8', `REX.W C1 /${digit} ib`),
    form('r32/m32, uimm8', `C1 /${digit} ib`),
    form('r64/m64, cl', `REX.W D3 /${digit}`),
    form('r32/m32, cl', `D3 /${digit}`),
  );

const unary = (opcode: string, digit: number) =>
  either(form('r64/m64', `REX.W ${opcode} /${digit}`), form('r32/m32', `${opcode} /${digit}`));

/** Arithmetic on general-purpose registers and memory. */
export const scalarArithmetic = {
  add: arithmetic(0),
  or: arithmetic(1),
  adc: arithmetic(2),
  sbb: arithmetic(3),
  and: arithmetic(4),
  sub: arithmetic(5),
  xor: arithmetic(6),
  /** Sets the flags of a difference; conditional jumps read them. */
  cmp: arithmetic(7),
  /** Sets the flags of a bitwise and. */
  test: either(
    form('r64/m64, r64', 'REX.W 85 /r'),
    form('r32/m32, r32', '85 /r'),
    form('r8/m8, r8', '84 /r'),
    form('al, imm8', 'A8 ib'),
    form('eax, imm32', 'A9 id'),
    form('rax, imm32', 'REX.W A9 id'),
    form('r8/m8, imm8', 'F6 /0 ib'),
    form('r32/m32, imm32', 'F7 /0 id'),
    form('r64/m64, imm32', 'REX.W F7 /0 id'),
  ),
  inc: unary('FF', 0),
  dec: unary('FF', 1),
  not: unary('F7', 2),
  neg: unary('F7', 3),
  /** rdx:rax = rax · operand, unsigned. */
  mul: writing([0, 2], unary('F7', 4)),
  /** rax and rdx = quotient and remainder of rdx:rax, unsigned. */
  div: writing([0, 2], unary('F7', 6)),
  /** rax and rdx = quotient and remainder of rdx:rax, with signs. */
  idiv: writing([0, 2], unary('F7', 7)),
  imul: either(
    form('r64, r64/m64', 'REX.W 0F AF /r'),
    form('r32, r32/m32', '0F AF /r'),
    form('r64, r64/m64, imm8', 'REX.W 6B /r ib'),
    form('r32, r32/m32, imm8', '6B /r ib'),
    form('r64, r64/m64, imm32', 'REX.W 69 /r id'),
    form('r32, r32/m32, imm32', '69 /r id'),
  ),
  rol: shift(0),
  ror: shift(1),
  shl: shift(4),
  shr: shift(5),
  sar: shift(7),
} as const;
