import type { Encoded } from '../encode/bytes.ts';
import type { Form } from '../encode/form.ts';
import type { Label } from '../operands/label.ts';
import type { Operand } from '../operands/operand.ts';

export interface InstructionItem {
  readonly kind: 'instruction';
  readonly mnemonic: string;
  readonly operands: readonly Operand[];
  readonly form: Form;
  readonly encoded: Encoded;
  /** Numbers of general-purpose registers that it writes without naming them. */
  readonly implicit: readonly number[];
}

/** A jump or call to a label: short when the distance fits a byte. */
export interface JumpItem {
  readonly kind: 'jump';
  readonly mnemonic: string;
  readonly target: Label;
  readonly form: Form;
}

export interface LabelItem {
  readonly kind: 'label';
  readonly label: Label;
}

/** No-operations up to the next multiple of so many bytes. */
export interface AlignItem {
  readonly kind: 'align';
  readonly bytes: number;
}

export interface CommentItem {
  readonly kind: 'comment';
  readonly text: string;
}

/** What code is made of, in its order. */
export type Item = InstructionItem | JumpItem | LabelItem | AlignItem | CommentItem;
