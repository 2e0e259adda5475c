/**
 * The types a value in a register can have. `bN` types carry bits without a meaning; every other
 * type says how an instruction reads them. Packed types (`f16x2`) hold the first element in the
 * low bits.
 */
export type RegType =
  | 'pred'
  | 'b16'
  | 'f16'
  | 'bf16'
  | 'e4m3x2'
  | 'b32'
  | 'u32'
  | 's32'
  | 'f32'
  | 'f16x2'
  | 'bf16x2'
  | 'e4m3x4'
  | 'b64'
  | 'u64'
  | 's64';

/** Types of 16, 32 and 64 bits; a value may be reinterpreted only within its width. */
export type Type16 = 'b16' | 'f16' | 'bf16' | 'e4m3x2';
export type Type32 = 'b32' | 'u32' | 's32' | 'f32' | 'f16x2' | 'bf16x2' | 'e4m3x4';
export type Type64 = 'b64' | 'u64' | 's64';

/** The types of the same width as `T`: what `value.as(type)` accepts. */
export type SameWidth<T extends RegType> = T extends Type16
  ? Type16
  : T extends Type32
    ? Type32
    : T extends Type64
      ? Type64
      : 'pred';

export type Int32 = 'u32' | 's32';
export type Int64 = 'u64' | 's64';
export type Int = Int32 | Int64;
export type Packed16 = 'f16x2' | 'bf16x2';
export type Scalar16 = 'f16' | 'bf16';
export type Float = 'f32' | Scalar16 | Packed16;
export type Bits = 'b32' | 'b64';

/** The element types a pointer or an array in memory can have. */
export type MemType =
  | 'u8'
  | 's8'
  | 'e4m3'
  | 'u16'
  | 's16'
  | 'b16'
  | 'f16'
  | 'bf16'
  | 'e4m3x2'
  | 'u32'
  | 's32'
  | 'b32'
  | 'f32'
  | 'f16x2'
  | 'bf16x2'
  | 'e4m3x4'
  | 'u64'
  | 's64'
  | 'b64';

/** The register type a load of `E` gives: small integers widen to 32 bits, an e4m3 byte to `u32`. */
export type RegOf<E extends MemType> = E extends 'u8' | 'u16' | 'e4m3'
  ? 'u32'
  : E extends 's8' | 's16'
    ? 's32'
    : Extract<E, RegType>;

const memBytes: Record<MemType, 1 | 2 | 4 | 8> = {
  u8: 1,
  s8: 1,
  e4m3: 1,
  u16: 2,
  s16: 2,
  b16: 2,
  f16: 2,
  bf16: 2,
  e4m3x2: 2,
  u32: 4,
  s32: 4,
  b32: 4,
  f32: 4,
  f16x2: 4,
  bf16x2: 4,
  e4m3x4: 4,
  u64: 8,
  s64: 8,
  b64: 8,
};

/** Size in bytes of one element in memory. */
export function bytesOf(type: MemType): 1 | 2 | 4 | 8 {
  return memBytes[type];
}

/** Width in bits of a register of this type; a predicate has 1. */
export function bitsOf(type: RegType): 1 | 16 | 32 | 64 {
  return type === 'pred' ? 1 : (((memBytes[type] as number) * 8) as 16 | 32 | 64);
}

/** The register type that loading an element of `type` gives (see {@link RegOf}). */
export function regTypeOf<E extends MemType>(type: E): RegOf<E> {
  const widened: Partial<Record<MemType, RegType>> = {
    u8: 'u32',
    u16: 'u32',
    e4m3: 'u32',
    s8: 's32',
    s16: 's32',
  };
  return (widened[type] ?? type) as RegOf<E>;
}

/**
 * Where a pointer points. `shared` addresses are 32-bit and relative to the CTA's window, `cluster`
 * addresses are 32-bit and name the shared memory of any CTA of the cluster.
 */
export type Space = 'global' | 'shared' | 'cluster' | 'param' | 'const';

/** The space's name in PTX. */
export function spaceName(space: Space): string {
  return space === 'cluster' ? 'shared::cluster' : space;
}
