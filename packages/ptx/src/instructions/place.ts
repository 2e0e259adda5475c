import { arg } from '../builder/operand.ts';
import type { Pointer } from '../builder/pointer.ts';
import type { Value } from '../builder/value.ts';
import type { Arg } from '../ir/program.ts';
import type { MemType, Space } from '../ir/types.ts';

/** A pointer's register as an instruction's input. */
export function baseArg(pointer: Pointer<Space, MemType>): Arg {
  const type = pointer.space === 'shared' || pointer.space === 'cluster' ? 'u32' : 'u64';
  return arg(type, pointer.base as Value<'u32' | 'u64'>);
}

/** An address as instructions write it. */
export const bracket = (base: string, offset: number): string =>
  offset === 0 ? `[${base}]` : `[${base}+${offset}]`;
