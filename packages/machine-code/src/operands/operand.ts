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

/** Whether a value is an operand: what a caller without type checks may get wrong. */
export function isOperand(value: unknown): value is Operand {
  return (
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    [Register, MaskedRegister, Memory, MaskedMemory, Broadcast, Label].some(
      (type) => value instanceof type,
    )
  );
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

/** Every register that an operand names: itself, its mask, base and index. */
export function registersOf(operand: Operand): Register[] {
  const registers: Register[] = [];
  if (operand instanceof Register) registers.push(operand);
  if (operand instanceof MaskedRegister) registers.push(operand.register);
  const memory = memoryOf(operand);
  if (memory !== undefined) {
    if (!(memory.base instanceof Label)) registers.push(memory.base);
    if (memory.index !== undefined) registers.push(memory.index.register);
  }
  const mask = maskOf(operand);
  if (mask !== undefined) registers.push(mask);
  return registers;
}
