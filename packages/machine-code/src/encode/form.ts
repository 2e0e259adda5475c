import type { Feature } from '../features/feature.ts';
import type { RegisterKind, VectorKind } from '../registers/register.ts';

/** One kind of thing that a place in an operand list admits. */
export type Access =
  | {
      readonly kind: 'register';
      readonly register: RegisterKind;
      /** Set when it must be this one: `cl`, `rax`. */
      readonly only: number | undefined;
      readonly masking: Masking;
    }
  | {
      readonly kind: 'memory';
      /** 0 for addresses without an access of a fixed size. */
      readonly bytes: number;
      /** Kind of the index register. */
      readonly index: 'gpr64' | VectorKind;
      /** Whether there must be an index: the row stride of a tile. */
      readonly strided: boolean;
      readonly masking: Masking;
    }
  | {
      readonly kind: 'broadcast';
      readonly bytes: number;
      /** How many elements the one stands for. */
      readonly lanes: number;
    }
  | { readonly kind: 'immediate'; readonly range: ImmediateRange }
  | { readonly kind: 'target' };

/** Whether lanes may be chosen by a mask, must be, and whether the others may be zeroed. */
export type Masking = 'none' | 'merge' | 'zero' | 'required';

export interface ImmediateRange {
  readonly least: bigint;
  readonly most: bigint;
  /** Bits of the operation that a value is cut to before it is compared with the range. */
  readonly width: number;
}

/** One place in an operand list. */
export interface Slot {
  readonly text: string;
  readonly accesses: readonly Access[];
}

/** Where an operand goes in the encoding. */
export type Role =
  | 'reg'
  | 'vvvv'
  | 'rm'
  | 'opcode'
  | 'is4'
  | 'immediate'
  | 'target'
  /** Said by the opcode alone. */
  | 'implied';

export interface LegacyEncoding {
  readonly space: 'legacy';
  /** Bytes before a REX prefix. */
  readonly prefixes: readonly number[];
  readonly wide: boolean;
}

export interface VectorEncoding {
  readonly space: 'vex' | 'evex';
  /** 0, 1 or 2 for 128, 256 or 512 bits. */
  readonly length: number;
  readonly prefix: number;
  readonly map: number;
  readonly wide: number;
}

export interface Form {
  readonly slots: readonly Slot[];
  readonly roles: readonly Role[];
  readonly encoding: LegacyEncoding | VectorEncoding;
  /** Opcode bytes; of a jump, those of the near form. */
  readonly opcode: readonly number[];
  /** Of a jump: the opcode of its short form. */
  readonly shortOpcode: readonly number[] | undefined;
  /** The part of the ModRM byte that belongs to the opcode. */
  readonly digit: number | undefined;
  readonly modrm: boolean;
  readonly immediateBytes: number;
  /** Bytes that a compressed displacement counts, where it is not the size of the access. */
  readonly unit: number | undefined;
  readonly features: readonly Feature[];
  /** As it stands in the table. */
  readonly text: string;
}
