import { OperandError } from '../errors.ts';
import { Memory } from '../operands/memory.ts';
import type { Code } from './code.ts';

/** Constants behind the code, as memory operands: one value, or several in a row. */
export interface ConstantOps {
  f32(values: number | readonly number[]): Memory<'gpr64'>;
  f64(values: number | readonly number[]): Memory<'gpr64'>;
  u8(values: number | readonly number[]): Memory<'gpr64'>;
  u16(values: number | readonly number[]): Memory<'gpr64'>;
  u32(values: number | readonly number[]): Memory<'gpr64'>;
  u64(values: bigint | readonly bigint[]): Memory<'gpr64'>;
  /** Bytes as they are; `align` is a power of two up to 64. */
  bytes(values: Uint8Array, align?: number): Memory<'gpr64'>;
}

function fits(value: number | bigint, bits: number): boolean {
  if (typeof value === 'number' && !Number.isInteger(value)) return false;
  return value >= 0 && BigInt(value) < 1n << BigInt(bits);
}

const outOfRange = (name: string, bits: number, value: number | bigint) =>
  new OperandError({
    subject: `constant of type ${name}`,
    expected: `integers from 0 to ${(1n << BigInt(bits)) - 1n}`,
    actual: String(value),
    remedy: 'Write negative numbers as their bits.',
  });

export function constantOps(code: Code): ConstantOps {
  const add = (bytes: Uint8Array, align: number, text: string): Memory<'gpr64'> =>
    new Memory({ base: code.constants.add(bytes, align, text) });
  /** Aligned to its own size, so that whole vectors may be loaded with `vmovaps`. */
  const typed = <T extends number | bigint>(
    name: string,
    make: (values: T[]) => ArrayBufferView<ArrayBuffer>,
  ) => {
    return (values: T | readonly T[]): Memory<'gpr64'> => {
      const list: T[] = typeof values === 'object' ? [...values] : [values];
      const bits = Number(name.slice(1));
      const wrong = name[0] === 'u' ? list.find((value) => !fits(value, bits)) : undefined;
      if (wrong !== undefined) throw outOfRange(name, bits, wrong);
      const { buffer } = make(list);
      const bytes = new Uint8Array(buffer);
      const align = Math.min(64, 2 ** Math.ceil(Math.log2(Math.max(1, bytes.length))));
      return add(bytes, align, `${name} ${list.join(', ')}`);
    };
  };
  return {
    f32: typed<number>('f32', (values) => Float32Array.from(values)),
    f64: typed<number>('f64', (values) => Float64Array.from(values)),
    u8: typed<number>('u8', (values) => Uint8Array.from(values)),
    u16: typed<number>('u16', (values) => Uint16Array.from(values)),
    u32: typed<number>('u32', (values) => Uint32Array.from(values)),
    u64: typed<bigint>('u64', (values) => BigUint64Array.from(values)),
    bytes: (values, align = 64) => add(values, align, `${values.length} bytes`),
  };
}
