import { select } from '../encode/select.ts';
import { KernelError, LabelError, OperandError } from '../errors.ts';
import type { Feature } from '../features/feature.ts';
import { withImplied } from '../features/feature.ts';
import type { Forms } from '../instructions/signature.ts';
import { Label } from '../operands/label.ts';
import { eachRegister, isOperand, memoryOf, type Operand } from '../operands/operand.ts';
import type { Register } from '../registers/register.ts';
import { ConstantPool } from './constants.ts';
import { finish } from './finish.ts';
import type { Item } from './item.ts';
import type { Program } from './program.ts';

/** Code under construction: items are appended, labels are placed, constants collected. */
export class Code {
  readonly name: string;
  readonly constants = new ConstantPool(this);
  readonly features = new Set<Feature>();
  /** Looks at every register of an instruction before it is appended; throws if it may not be used. */
  guard: ((register: Register) => void) | undefined;
  readonly #allowed: ReadonlySet<Feature> | undefined;
  readonly #labels = new Map<string, number>();
  readonly #placed = new Set<Label>();
  #items: Item[] = [];

  /** `features`: what the processor will have; undefined allows every instruction. */
  constructor(name: string, features?: readonly Feature[]) {
    this.name = name;
    this.#allowed = features && withImplied(features);
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  /** Whether an instruction with this requirement may be used. */
  allows(feature: Feature): boolean {
    return this.#allowed?.has(feature) ?? true;
  }

  /** Appends an instruction. @throws OperandError, FeatureError, LabelError, RegisterError */
  instruction(mnemonic: string, entry: Forms, operands: readonly Operand[]): void {
    for (const operand of operands) this.#check(mnemonic, operand);
    const { form, encoded } = select(mnemonic, entry, operands, this.#allowed);
    for (const feature of form.features) this.features.add(feature);
    const [target] = operands;
    if (target instanceof Label) {
      this.#items.push({ kind: 'jump', mnemonic, target, form });
      return;
    }
    const implicit = entry.implicit ?? [];
    this.#items.push({ kind: 'instruction', mnemonic, operands, form, encoded, implicit });
  }

  /** A new label, to be placed once. Of equal names the later ones get a number. */
  label(name = 'label'): Label {
    if (!/^[A-Za-z_]\w*$/.test(name)) {
      throw new LabelError({
        subject: `label "${name}"`,
        expected: 'letters, digits and underscores',
        actual: `"${name}"`,
        remedy: 'Choose another name.',
      });
    }
    const count = (this.#labels.get(name) ?? 0) + 1;
    this.#labels.set(name, count);
    return new Label(count === 1 ? name : `${name}_${count}`, this);
  }

  /** Gives a label the address of what comes next. @throws LabelError if it has one, or is not ours. */
  place(label: Label): void {
    this.#own(label);
    if (this.#placed.has(label)) {
      throw new LabelError({
        subject: `label ${label}`,
        expected: 'a label without a place',
        actual: 'one that was placed before',
        remedy: 'Make a label for each place.',
      });
    }
    this.#placed.add(label);
    this.#items.push({ kind: 'label', label });
  }

  /** Pads with no-operations to a multiple of `bytes`: a power of two up to 64. */
  align(bytes: number): void {
    if (![1, 2, 4, 8, 16, 32, 64].includes(bytes)) {
      throw new KernelError({
        subject: `alignment in ${this.name}`,
        expected: '1, 2, 4, 8, 16, 32 or 64 bytes',
        actual: String(bytes),
        remedy: 'Choose one of these: a program is placed at a multiple of 64.',
      });
    }
    if (bytes > 1) this.#items.push({ kind: 'align', bytes });
  }

  comment(text: string): void {
    this.#items.push({ kind: 'comment', text: text.replace(/\s*[\r\n]+\s*/g, ' ') });
  }

  /** What `fill` appends, taken out instead. */
  collect(fill: () => void): Item[] {
    const kept = this.#items;
    this.#items = [];
    try {
      fill();
      return this.#items;
    } finally {
      this.#items = kept;
    }
  }

  /** Appends items that were collected. */
  append(items: readonly Item[]): void {
    for (const item of items) this.#items.push(item);
  }

  /** The finished program. @throws LabelError if a label that is used has no place. */
  finish(): Program {
    return finish(this.name, [...this.#items], this.constants, [...this.features]);
  }

  #check(mnemonic: string, operand: Operand): void {
    if (!isOperand(operand)) {
      throw new OperandError({
        subject: mnemonic,
        expected: 'registers, memory, labels and integers',
        actual: String(operand),
        remedy: 'Give an operand of one of these kinds.',
      });
    }
    if (operand instanceof Label) this.#own(operand);
    const base = memoryOf(operand)?.base;
    if (base instanceof Label) this.#own(base);
    if (this.guard !== undefined) eachRegister(operand, this.guard);
  }

  #own(label: Label): void {
    if (label.owner === this) return;
    throw new LabelError({
      subject: `label ${label}`,
      expected: `a label of ${this.name}`,
      actual: 'one of other code',
      remedy: 'Make the label where it is used.',
    });
  }
}
