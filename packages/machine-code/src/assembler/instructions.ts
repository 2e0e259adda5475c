import type { Forms } from '../instructions/signature.ts';
import { type Instructions, table } from '../instructions/table.ts';
import type { Operand } from '../operands/operand.ts';
import type { Code } from './code.ts';

/** A function for each instruction of the table, which appends it to the code. */
export function instructionsOf(code: Code): Instructions {
  const functions: Record<string, (...operands: Operand[]) => void> = {};
  for (const [mnemonic, entry] of Object.entries<Forms>(table)) {
    functions[mnemonic] = (...operands) => code.instruction(mnemonic, entry, operands);
  }
  return functions as unknown as Instructions;
}
