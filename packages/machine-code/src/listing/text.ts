import { bytesAccessed } from '../encode/bytes.ts';
import type { Form } from '../encode/form.ts';
import { MaskedMemory } from '../operands/masked.ts';
import { Broadcast, Memory } from '../operands/memory.ts';
import type { Operand } from '../operands/operand.ts';

/** Operand sizes that no size keyword exists for, or that assemblers do not want to be told. */
const unnamed = new Set(['ldtilecfg', 'sttilecfg', 'lea']);

/** The mnemonic as it is written: `lock_xadd` is two words. */
export const written = (mnemonic: string): string => mnemonic.replace('_', ' ');

/** An instruction in Intel's syntax, as GNU as reads it after `.intel_syntax noprefix`. */
export function instructionText(
  mnemonic: string,
  form: Form,
  operands: readonly Operand[],
): string {
  const texts = operands.map((operand, i) => {
    const plain = unnamed.has(mnemonic);
    const size = plain ? 0 : bytesAccessed(form, i, operand instanceof Broadcast);
    if (operand instanceof Broadcast) return operand.toString(size, lanesOf(form, i));
    if (operand instanceof Memory) return operand.toString(size);
    if (operand instanceof MaskedMemory) {
      return `${operand.memory.toString(size)}{${operand.mask}}`;
    }
    return String(operand);
  });
  return `${written(mnemonic)} ${texts.join(', ')}`.trim();
}

function lanesOf(form: Form, index: number): number | undefined {
  for (const access of form.slots[index].accesses) {
    if (access.kind === 'broadcast') return access.lanes;
  }
  return undefined;
}
