import type { DType } from '@flash-mla/core';

/** Element types as safetensors names them → those of this library. */
const libraryDTypes: ReadonlyMap<string, DType> = new Map([
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
  ['F8_E4M3', 'e4m3'],
  ['F8_E8M0', 'e8m0'],
  ['U8', 'u8'],
  ['I32', 'i32'],
  ['I64', 'i64'],
]);

const fileDTypes: ReadonlyMap<DType, string> = new Map(
  [...libraryDTypes].map(([name, dtype]) => [dtype, name]),
);

/** Bits of one element of every type that the format's reference implementation knows. */
const bits: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E4M3', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2', 8],
  ['F8_E5M2FNUZ', 8],
  ['F8_E8M0', 8],
  ['U16', 16],
  ['I16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['U32', 32],
  ['I32', 32],
  ['F32', 32],
  ['U64', 64],
  ['I64', 64],
  ['F64', 64],
  ['C64', 64],
]);

/** The library's name of a file's element type; undefined: the library cannot hold it. */
export function libraryDType(name: string): DType | undefined {
  return libraryDTypes.get(name);
}

/** The file's name of one of the library's element types. */
export function fileDType(dtype: DType): string {
  return fileDTypes.get(dtype) as string;
}

/** Bits of one element; undefined for names that the format does not define. */
export function bitsOf(name: string): number | undefined {
  return bits.get(name);
}

/** The names that can be read as tensors, for messages. */
export const readableDTypes: string = [...libraryDTypes.keys()].join(', ');
