import type { Access, Form, Slot } from '../encode/form.ts';
import { formsOf, repeated, select } from '../encode/select.ts';
import type { Forms } from '../instructions/signature.ts';
import { groups } from '../instructions/table.ts';
import { instructionText } from '../listing/text.ts';
import type { Operand } from '../operands/operand.ts';
import { type Chooser, operandsFor } from './choices.ts';

/** An instruction with operands: its text for an assembler, and the bytes that this package makes. */
export interface EncodingCase {
  readonly text: string;
  /** Lower-case hexadecimal digits. */
  readonly bytes: string;
}

export type GroupName = keyof typeof groups;
export const groupNames = Object.keys(groups) as GroupName[];

const hex = (bytes: readonly number[]): string =>
  bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** A generator of numbers that gives the same sequence everywhere (mulberry32). */
export function chooserOf(seed: number): Chooser {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

const isJump = ({ slots }: Form): boolean =>
  slots.some(({ accesses }) => accesses[0].kind === 'target');

function caseOf(mnemonic: string, entry: Forms, operands: readonly Operand[]): EncodingCase {
  const { form, encoded } = select(mnemonic, entry, operands, undefined);
  return { text: instructionText(mnemonic, form, operands), bytes: hex(encoded.bytes) };
}

function drawn(
  entry: Forms,
  form: Form,
  choose: Chooser,
  pick: (slot: Slot, index: number) => Access,
) {
  const evex = form.encoding.space === 'evex';
  for (;;) {
    const operands = operandsFor(form.slots, evex, choose, pick);
    if (!entry.distinct || repeated(operands) === undefined) return operands;
  }
}

/**
 * Cases of a group: every alternative of every place of every form of every entry, twice, with other
 * operands drawn from a fixed sequence. Jumps to labels are not among them.
 */
export function goldenCases(group: GroupName): EncodingCase[] {
  const cases = new Map<string, EncodingCase>();
  for (const [mnemonic, entry] of Object.entries<Forms>(groups[group])) {
    const choose = chooserOf([...mnemonic].reduce((a, c) => a * 31 + c.charCodeAt(0), 7));
    for (const form of formsOf(entry)) {
      if (isJump(form)) continue;
      const widest = Math.max(1, ...form.slots.map(({ accesses }) => accesses.length));
      for (let turn = 0; turn < widest * 2; turn++) {
        const pick = ({ accesses }: Slot) => accesses[Math.min(turn >> 1, accesses.length - 1)];
        const made = caseOf(mnemonic, entry, drawn(entry, form, choose, pick));
        cases.set(made.text, made);
      }
    }
  }
  return [...cases.values()];
}

/** So many cases with random operands, from all groups. */
export function randomCases(count: number, seed: number): EncodingCase[] {
  const choose = chooserOf(seed);
  const entries = groupNames.flatMap((group) => Object.entries<Forms>(groups[group]));
  const cases: EncodingCase[] = [];
  while (cases.length < count) {
    const [mnemonic, entry] = entries[choose(entries.length)];
    const forms = formsOf(entry).filter((form) => !isJump(form));
    if (forms.length === 0) continue;
    const form = forms[choose(forms.length)];
    const pick = ({ accesses }: Slot) => accesses[choose(accesses.length)];
    cases.push(caseOf(mnemonic, entry, drawn(entry, form, choose, pick)));
  }
  return cases;
}
