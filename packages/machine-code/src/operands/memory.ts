import { OperandError } from '../errors.ts';
import type { Gpr64 } from '../registers/gpr.ts';
import type { Mask } from '../registers/mask.ts';
import type { Register, VectorKind } from '../registers/register.ts';
import { Label } from './label.ts';
import { MaskedMemory } from './masked.ts';

/** What a memory operand's index is: one register, or a vector of offsets for gathers. */
export type Indexing = 'gpr64' | VectorKind;
export type Scale = 1 | 2 | 4 | 8;

/** An index register times 1, 2, 4 or 8. */
export class ScaledIndex<out K extends Indexing = Indexing> {
  readonly register: Register<K>;
  readonly scale: Scale;

  constructor(register: Register<K>, scale: Scale) {
    if (![1, 2, 4, 8].includes(scale)) {
      throw new OperandError({
        subject: `index ${register}*${scale}`,
        expected: 'a scale of 1, 2, 4 or 8',
        actual: String(scale),
        remedy: 'Multiply the index beforehand.',
      });
    }
    if (register.kind === 'gpr64' && register.number === 4) {
      throw new OperandError({
        subject: 'index of a memory operand',
        expected: 'any register but rsp',
        actual: 'rsp',
        remedy: 'Make rsp the base, or copy it.',
      });
    }
    this.register = register;
    this.scale = scale;
  }
}

/** Where a memory operand points. */
export interface Place {
  /** A register, or a label that is addressed relative to the instruction pointer. */
  readonly base: Gpr64 | Label;
  readonly index?: ScaledIndex | undefined;
  /** Added to the address, in bytes: 32 bits with a sign. */
  readonly displacement?: number;
  /** Bytes accessed, where the other operands do not tell. */
  readonly bytes?: number | undefined;
}

const sizeNames: Readonly<Record<number, string>> = {
  1: 'byte',
  2: 'word',
  4: 'dword',
  8: 'qword',
  16: 'xmmword',
  32: 'ymmword',
  64: 'zmmword',
};

/** A memory operand: base + index·scale + displacement. */
export class Memory<out I extends Indexing = Indexing> {
  readonly base: Gpr64 | Label;
  readonly index: ScaledIndex<I> | undefined;
  readonly displacement: number;
  readonly bytes: number | undefined;

  constructor({ base, index, displacement = 0, bytes }: Place) {
    if (!Number.isInteger(displacement) || displacement !== (displacement | 0)) {
      throw new OperandError({
        subject: `memory operand [${base} + ${displacement}]`,
        expected: 'a displacement that is an integer of 32 bits with a sign',
        actual: String(displacement),
        remedy: 'Add what is out of range to the base register.',
      });
    }
    this.base = base;
    this.index = index as ScaledIndex<I> | undefined;
    this.displacement = displacement;
    this.bytes = bytes;
  }

  /** The same operand so many bytes further. */
  plus(bytes: number): Memory<I> {
    return new Memory({ ...this, displacement: this.displacement + bytes });
  }

  /**
   * One element, copied to all lanes of a vector: an operand of AVX-512 arithmetic. How many lanes
   * must be said only where no other operand tells the vector's length.
   */
  broadcast(lanes?: number): Broadcast {
    return new Broadcast(this, lanes);
  }

  /** As a destination: lanes whose bit in the mask is 0 are not written, and cannot fault. */
  masked(mask: Mask): MaskedMemory<I> {
    return new MaskedMemory<I>(this, mask);
  }

  /** The operand with its size, for instructions whose other operands do not tell it. */
  sized(bytes: number): Memory<I> {
    return new Memory({ ...this, bytes });
  }

  get byte(): Memory<I> {
    return this.sized(1);
  }

  get word(): Memory<I> {
    return this.sized(2);
  }

  get dword(): Memory<I> {
    return this.sized(4);
  }

  get qword(): Memory<I> {
    return this.sized(8);
  }

  get xmmword(): Memory<I> {
    return this.sized(16);
  }

  get ymmword(): Memory<I> {
    return this.sized(32);
  }

  get zmmword(): Memory<I> {
    return this.sized(64);
  }

  /** In Intel's syntax, with the size unless it is 0 or not known. */
  toString(bytes: number | undefined = this.bytes): string {
    const { base, index, displacement } = this;
    const offset =
      displacement === 0 ? '' : displacement < 0 ? `${displacement}` : `+${displacement}`;
    const start = base instanceof Label ? `rip+${base}` : `${base}`;
    const middle = index === undefined ? '' : `+${index.register}*${index.scale}`;
    const name = bytes === undefined ? undefined : sizeNames[bytes];
    const size = name === undefined ? '' : `${name} ptr `;
    return `${size}[${start}${middle}${offset}]`;
  }
}

/** One element of memory for all lanes. */
export class Broadcast {
  readonly memory: Memory;
  readonly lanes: number | undefined;

  constructor(memory: Memory, lanes?: number) {
    this.memory = memory;
    this.lanes = lanes;
  }

  toString(bytes: number | undefined = this.memory.bytes, lanes = this.lanes): string {
    return `${this.memory.toString(bytes)}{1to${lanes ?? 'N'}}`;
  }
}
