import { OperandError } from '../errors.ts';
import { Gpr64 } from './gpr.ts';
import { Mask } from './mask.ts';
import { Tile } from './tile.ts';
import { VectorRegister, type Xmm, type Ymm, type Zmm } from './vector.ts';

/** The general-purpose registers by their own names, for code that does not use an allocator. */
export const rax = new Gpr64(0);
export const rcx = new Gpr64(1);
export const rdx = new Gpr64(2);
export const rbx = new Gpr64(3);
export const rsp = new Gpr64(4);
export const rbp = new Gpr64(5);
export const rsi = new Gpr64(6);
export const rdi = new Gpr64(7);
export const r8 = new Gpr64(8);
export const r9 = new Gpr64(9);
export const r10 = new Gpr64(10);
export const r11 = new Gpr64(11);
export const r12 = new Gpr64(12);
export const r13 = new Gpr64(13);
export const r14 = new Gpr64(14);
export const r15 = new Gpr64(15);

function checked(name: string, number: number, count: number): number {
  if (Number.isInteger(number) && number >= 0 && number < count) return number;
  throw new OperandError({
    subject: `register ${name}${number}`,
    expected: `a number from 0 to ${count - 1}`,
    actual: String(number),
    remedy: 'Choose a register that exists.',
  });
}

/** xmm0–xmm31; those from 16 up need AVX-512. */
export const xmm = (number: number): Xmm => new VectorRegister('xmm', checked('xmm', number, 32));
/** ymm0–ymm31; those from 16 up need AVX-512. */
export const ymm = (number: number): Ymm => new VectorRegister('ymm', checked('ymm', number, 32));
export const zmm = (number: number): Zmm => new VectorRegister('zmm', checked('zmm', number, 32));
/** The mask register k0–k7. */
export const k = (number: number): Mask => new Mask(checked('k', number, 8));
export const tmm = (number: number): Tile => new Tile(checked('tmm', number, 8));
