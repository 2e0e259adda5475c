import { Register } from '../registers/register.ts';
import { Label } from './label.ts';
import { MaskedMemory, MaskedRegister } from './masked.ts';
import { Broadcast, Memory } from './memory.ts';

/** Everything that can stand behind a mnemonic. */
export type Operand =
  | Register
  | MaskedRegister
  | Memory
  | MaskedMemory
  | Broadcast
  | Label
  | number
  | bigint;

const kinds = [Register, Memory, MaskedRegister, MaskedMemory, Broadcast, Label];

/** Whether a value is an operand: what a caller without type checks may get wrong. */
export function isOperand(value: unknown): value is Operand {
  if (typeof value !== 'object') return typeof value === 'number' || typeof value === 'bigint';
  return kinds.some((type) => value instanceof type);
}

/** The memory operand inside an operand. */
export function memoryOf(operand: Operand): Memory | undefined {
  if (operand instanceof Memory) return operand;
  return operand instanceof Broadcast || operand instanceof MaskedMemory
    ? operand.memory
    : undefined;
}

/** The mask that chooses an operand's lanes. */
export function maskOf(operand: Operand): Register<'mask'> | undefined {
  return operand instanceof MaskedRegister || operand instanceof MaskedMemory
    ? operand.mask
    : undefined;
}

/** Visits every register that an operand names: itself, its mask, base and index. */
export function eachRegister(operand: Operand, visit: (register: Register) => void): void {
  if (typeof operand !== 'object') return;
  if (operand instanceof Register) {
    visit(operand);
    return;
  }
  if (operand instanceof MaskedRegister) visit(operand.register);
  const memory = memoryOf(operand);
  if (memory !== undefined) {
    if (!(memory.base instanceof Label)) visit(memory.base);
    if (memory.index !== undefined) visit(memory.index.register);
  }
  const mask = maskOf(operand);
  if (mask !== undefined) visit(mask);
}

/** Every register that an operand names. */
export function registersOf(operand: Operand): Register[] {
  const registers: Register[] = [];
  eachRegister(operand, (register) => registers.push(register));
  return registers;
}
