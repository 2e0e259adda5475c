import type { Operand } from '../operands/operand.ts';
import { amx } from './amx.ts';
import { control } from './control.ts';
import { maskOperations } from './mask.ts';
import { scalarArithmetic } from './scalar_arithmetic.ts';
import { scalarBits } from './scalar_bits.ts';
import { scalarMoves } from './scalar_move.ts';
import type { Forms } from './signature.ts';
import { vectorConversions } from './vector_convert.ts';
import { vectorFloat } from './vector_float.ts';
import { vectorInteger } from './vector_integer.ts';
import { vectorMoves } from './vector_move.ts';
import { vectorShuffles } from './vector_shuffle.ts';

/** The instructions by group. */
export const groups = {
  scalar_move: scalarMoves,
  scalar_arithmetic: scalarArithmetic,
  scalar_bits: scalarBits,
  control,
  vector_move: vectorMoves,
  vector_float: vectorFloat,
  vector_integer: vectorInteger,
  vector_shuffle: vectorShuffles,
  vector_convert: vectorConversions,
  mask: maskOperations,
  amx,
} as const;

/** Every instruction by its mnemonic; `lock_` stands for the prefix. */
export const table = {
  ...scalarMoves,
  ...scalarArithmetic,
  ...scalarBits,
  ...control,
  ...vectorMoves,
  ...vectorFloat,
  ...vectorInteger,
  ...vectorShuffles,
  ...vectorConversions,
  ...maskOperations,
  ...amx,
} as const;

export type Mnemonic = keyof typeof table;

type OperandsOf<F> = F extends Forms<infer O> ? O : readonly Operand[];

/** A function for each instruction, which appends it to the code: operands as in Intel's syntax. */
export type Instructions = {
  readonly [M in Mnemonic]: (...operands: OperandsOf<(typeof table)[M]>) => void;
};
