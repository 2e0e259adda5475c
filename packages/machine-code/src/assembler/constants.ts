import { KernelError } from '../errors.ts';
import { Label } from '../operands/label.ts';
import { alignUp } from './layout.ts';

/** Data behind the code. */
export interface Constant {
  readonly label: Label;
  readonly bytes: Uint8Array;
  readonly align: number;
  /** What it is, for the listing. */
  readonly text: string;
}

/** A constant with its distance from the first one. */
export interface PlacedConstant extends Constant {
  readonly offset: number;
}

/** Collects constants; equal ones are kept once. */
export class ConstantPool {
  readonly #owner: object;
  readonly #constants = new Map<string, Constant>();

  constructor(owner: object) {
    this.#owner = owner;
  }

  /** The label of such bytes; at an address that is a multiple of `align`, a power of two up to 64. */
  add(bytes: Uint8Array, align: number, text: string): Label {
    if (bytes.length === 0 || ![1, 2, 4, 8, 16, 32, 64].includes(align)) {
      throw new KernelError({
        subject: `constant ${text}`,
        expected: 'at least one byte, aligned to 1, 2, 4, 8, 16, 32 or 64',
        actual: `${bytes.length} bytes, aligned to ${align}`,
        remedy: 'Give it content and an alignment that code can have.',
      });
    }
    const key = `${align}:${bytes.join()}`;
    let constant = this.#constants.get(key);
    if (constant === undefined) {
      const label = new Label(`constant_${this.#constants.size}`, this.#owner);
      constant = { label, bytes: bytes.slice(), align, text };
      this.#constants.set(key, constant);
    }
    return constant.label;
  }

  /** All constants, the most aligned first, which leaves no holes between sizes of powers of two. */
  place(): { constants: PlacedConstant[]; bytes: number } {
    const sorted = [...this.#constants.values()].sort((a, b) => b.align - a.align);
    let end = 0;
    const constants = sorted.map((constant) => {
      const offset = alignUp(end, constant.align);
      end = offset + constant.bytes.length;
      return { ...constant, offset };
    });
    return { constants, bytes: end };
  }
}
