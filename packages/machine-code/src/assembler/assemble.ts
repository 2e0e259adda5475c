import type { Feature } from '../features/feature.ts';
import type { Instructions } from '../instructions/table.ts';
import type { Label } from '../operands/label.ts';
import { Code } from './code.ts';
import { type ConstantOps, constantOps } from './constant_ops.ts';
import { instructionsOf } from './instructions.ts';
import type { Program } from './program.ts';

/** What plain code is written with: every instruction, labels, constants; no allocator, no frame. */
export interface Assembler extends Instructions {
  label(name?: string): Label;
  place(label: Label): void;
  align(bytes: number): void;
  comment(text: string): void;
  readonly constant: ConstantOps;
}

/**
 * Assembles code that does everything itself: registers by their own names, its own `ret`. For kernels
 * see `defineKernel`.
 * @throws MachineCodeError for what cannot be encoded, and for labels that are used but not placed.
 */
export function assemble(
  write: (a: Assembler) => void,
  { name = 'code', features }: { name?: string; features?: readonly Feature[] } = {},
): Program {
  const code = new Code(name, features);
  write(
    Object.assign(instructionsOf(code) as Assembler, {
      label: (labelName?: string) => code.label(labelName),
      place: (label: Label) => code.place(label),
      align: (bytes: number) => code.align(bytes),
      comment: (text: string) => code.comment(text),
      constant: constantOps(code),
    }),
  );
  return code.finish();
}
