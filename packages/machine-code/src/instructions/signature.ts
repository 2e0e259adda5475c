// The operands of an instruction are written as in the processor's manual: `'v{z}, v, v/mv/b32'`. These
// types read that text, so the table's entry is also what the compiler checks calls against.
import type { Feature } from '../features/feature.ts';
import type { Label } from '../operands/label.ts';
import type { MaskedMemory, MaskedRegister } from '../operands/masked.ts';
import type { Broadcast, Memory } from '../operands/memory.ts';
import type { Operand } from '../operands/operand.ts';
import type { Gpr8, Gpr16, Gpr32, Gpr64 } from '../registers/gpr.ts';
import type { Mask } from '../registers/mask.ts';
import type { VectorKind } from '../registers/register.ts';
import type { Tile } from '../registers/tile.ts';
import type { VectorRegister, Xmm, Ymm, Zmm } from '../registers/vector.ts';

interface Half {
  xmm: 'xmm';
  ymm: 'xmm';
  zmm: 'ymm';
}

/** Tokens that mean the same at every vector length. */
interface Fixed {
  r8: Gpr8;
  r16: Gpr16;
  r32: Gpr32;
  r64: Gpr64;
  al: Gpr8;
  cl: Gpr8;
  ax: Gpr16;
  eax: Gpr32;
  rax: Gpr64;
  xmm: Xmm;
  ymm: Ymm;
  zmm: Zmm;
  k: Mask;
  tmm: Tile;
  imm8: number;
  uimm8: number;
  imm16: number;
  imm32: number;
  imm64: number | bigint;
  '1': number;
  target: Label;
  b16: Broadcast;
  b32: Broadcast;
  b64: Broadcast;
  vm32x: Memory<'xmm'>;
  vm32y: Memory<'ymm'>;
  vm32z: Memory<'zmm'>;
}

type Addressed = Memory<'gpr64'>;

type Plain<T extends string, L extends VectorKind> = T extends 'v'
  ? VectorRegister<L>
  : T extends 'h'
    ? VectorRegister<Half[L]>
    : T extends 'q' | 'e'
      ? Xmm
      : T extends keyof Fixed
        ? Fixed[T]
        : T extends `m${string}`
          ? Addressed
          : never;

type Masked<P> =
  P extends Memory<infer I>
    ? MaskedMemory<I>
    : P extends VectorRegister<infer V>
      ? MaskedRegister<V>
      : P extends Mask
        ? MaskedRegister<'mask'>
        : never;

type Token<T extends string, L extends VectorKind> = T extends `${infer P}{!}`
  ? Masked<Plain<P, L>>
  : T extends `${infer P}{${string}}`
    ? Plain<P, L> | Masked<Plain<P, L>>
    : Plain<T, L>;

type Alternatives<T extends string, L extends VectorKind> = T extends `${infer A}/${infer B}`
  ? Token<A, L> | Alternatives<B, L>
  : Token<T, L>;

type List<S extends string, L extends VectorKind> = S extends ''
  ? []
  : S extends `${infer A}, ${infer B}`
    ? [Alternatives<A, L>, ...List<B, L>]
    : [Alternatives<S, L>];

/** The operands that `text` admits, at each of the vector lengths `L`. */
export type Operands<S extends string, L extends VectorKind = 'xmm'> = L extends VectorKind
  ? List<S, L>
  : never;

/** One way to encode an instruction, in the manual's notation. */
export interface FormText {
  /** Operands, destination first. */
  readonly operands: string;
  /** Such as `VEX.256.66.0F38.W0 B8 /r` or `REX.W 03 /r`. */
  readonly encoding: string;
  /** What the processor must have; empty for what every x86-64 has. */
  readonly features: readonly Feature[];
}

/** The forms of an instruction; `O` are the operand lists that it takes. */
export interface Forms<out O extends readonly Operand[] = readonly Operand[]> {
  readonly forms: readonly FormText[];
  /** Registers that it writes without naming them. */
  readonly implicit?: readonly number[];
  /** Set when the processor refuses to use a vector or tile register twice in one instruction. */
  readonly distinct?: boolean;
  /** Exists for the compiler only. */
  readonly operands?: O;
}
