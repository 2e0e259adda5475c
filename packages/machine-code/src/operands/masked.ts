import type { Mask } from '../registers/mask.ts';
import type { Register, VectorKind } from '../registers/register.ts';
import type { Indexing, Memory } from './memory.ts';

/** A destination register of which only some lanes are written. */
export class MaskedRegister<out K extends VectorKind | 'mask' = VectorKind | 'mask'> {
  readonly register: Register<K>;
  readonly mask: Mask;
  /** Whether the other lanes become zero. */
  readonly zeroing: boolean;

  constructor(register: Register<K>, mask: Mask, zeroing: boolean) {
    this.register = register;
    this.mask = mask;
    this.zeroing = zeroing;
  }

  toString(): string {
    return `${this.register}{${this.mask}}${this.zeroing ? '{z}' : ''}`;
  }
}

/** Memory of which only some lanes are written or, with gathers, read. */
export class MaskedMemory<out I extends Indexing = Indexing> {
  readonly memory: Memory<I>;
  readonly mask: Mask;

  constructor(memory: Memory<I>, mask: Mask) {
    this.memory = memory;
    this.mask = mask;
  }

  toString(): string {
    return `${this.memory}{${this.mask}}`;
  }
}
