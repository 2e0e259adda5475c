import { either, form, writing } from './form.ts';

const conditional = (code: string) =>
  either(form('r64, r64/m64', `REX.W 0F 4${code} /r`), form('r32, r32/m32', `0F 4${code} /r`));
const setting = (code: string) => form('r8/m8', `0F 9${code} /0`);

/** Copies between general-purpose registers and memory. */
export const scalarMoves = {
  /** Copies. A 64-bit register takes any constant; memory takes 32 bits with a sign. */
  mov: either(
    form('r64/m64, r64', 'REX.W 89 /r'),
    form('r32/m32, r32', '89 /r'),
    form('r16/m16, r16', '66 89 /r'),
    form('r8/m8, r8', '88 /r'),
    form('r64, r64/m64', 'REX.W 8B /r'),
    form('r32, r32/m32', '8B /r'),
    form('r16, r16/m16', '66 8B /r'),
    form('r8, r8/m8', '8A /r'),
    form('r64/m64, imm32', 'REX.W C7 /0 id'),
    form('r32, imm32', 'B8 +r id'),
    form('m32, imm32', 'C7 /0 id'),
    form('m16, imm16', '66 C7 /0 iw'),
    form('m8, imm8', 'C6 /0 ib'),
    form('r64, imm64', 'REX.W B8 +r io'),
  ),
  /** Loads or copies 8 or 16 bits and clears the rest. */
  movzx: either(
    form('r32, r8/m8', '0F B6 /r'),
    form('r32, r16/m16', '0F B7 /r'),
    form('r64, r8/m8', 'REX.W 0F B6 /r'),
    form('r64, r16/m16', 'REX.W 0F B7 /r'),
  ),
  /** Loads or copies 8 or 16 bits and fills the rest with the sign. */
  movsx: either(
    form('r32, r8/m8', '0F BE /r'),
    form('r32, r16/m16', '0F BF /r'),
    form('r64, r8/m8', 'REX.W 0F BE /r'),
    form('r64, r16/m16', 'REX.W 0F BF /r'),
  ),
  /** Loads or copies 32 bits and fills the rest with the sign. */
  movsxd: form('r64, r32/m32', 'REX.W 63 /r'),
  /** The address of a memory operand, without touching the memory. */
  lea: either(form('r64, m', 'REX.W 8D /r'), form('r32, m', '8D /r')),
  /** Exchanges register and memory in one piece, as if it said `lock`. */
  xchg: either(form('m64, r64', 'REX.W 87 /r'), form('m32, r32', '87 /r')),
  bswap: either(form('r64', 'REX.W 0F C8 +r'), form('r32', '0F C8 +r')),
  push: either(form('r64', '50 +r'), form('imm8', '6A ib'), form('imm32', '68 id')),
  pop: form('r64', '58 +r'),
  /** Sign of eax into edx, before `idiv`. */
  cdq: writing([2], form('', '99')),
  /** Sign of rax into rdx, before `idiv`. */
  cqo: writing([2], form('', 'REX.W 99')),
  cmovb: conditional('2'),
  cmovae: conditional('3'),
  cmove: conditional('4'),
  cmovne: conditional('5'),
  cmovbe: conditional('6'),
  cmova: conditional('7'),
  cmovs: conditional('8'),
  cmovns: conditional('9'),
  cmovl: conditional('C'),
  cmovge: conditional('D'),
  cmovle: conditional('E'),
  cmovg: conditional('F'),
  setb: setting('2'),
  setae: setting('3'),
  sete: setting('4'),
  setne: setting('5'),
  setbe: setting('6'),
  seta: setting('7'),
  setp: setting('A'),
  setl: setting('C'),
  setge: setting('D'),
  setle: setting('E'),
  setg: setting('F'),
} as const;
