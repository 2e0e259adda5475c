import { DeclarationError } from '../errors.ts';
import type { ParamSlot } from '../ir/program.ts';
import { bytesOf, type MemType } from '../ir/types.ts';
import { type TensorElement, tensorMapBytes } from './tensor-map.ts';

/** Types a kernel parameter can have by itself; pointers are declared with {@link global}. */
export type ScalarParam = 'u32' | 's32' | 'b32' | 'f32' | 'u64' | 's64' | 'b64';

/** A parameter that is the address of elements `E` in global memory. */
export interface PointerParam<E extends MemType> {
  readonly kind: 'pointer';
  readonly element: E;
}

/** A parameter that is a small array of scalars. */
export interface ArrayParam<T extends ScalarParam> {
  readonly kind: 'array';
  readonly type: T;
  readonly count: number;
}

/** A parameter that is a tensor map: how the copy engine finds boxes of a tensor. */
export interface TensorMapParam<E extends TensorElement> {
  readonly kind: 'tensorMap';
  readonly element: E;
}

/** One declared parameter. */
export type ParamDecl =
  | ScalarParam
  | PointerParam<MemType>
  | ArrayParam<ScalarParam>
  | TensorMapParam<TensorElement>;

/** A kernel's parameters by name, in the order of the packed buffer. */
export type ParamDecls = Readonly<Record<string, ParamDecl>>;

/** Declares a pointer to global memory. */
export function global<E extends MemType>(element: E): PointerParam<E> {
  return { kind: 'pointer', element };
}

/** Declares an array of `count` scalars, such as the strides of a tensor. */
export function array<T extends ScalarParam>(type: T, count: number): ArrayParam<T> {
  return { kind: 'array', type, count };
}

/**
 * Declares a tensor map of elements `E`, passed by value: the host gives the 128 bytes that the driver
 * (or for the simulator {@link encodeTensorMap}) makes of a {@link TensorMapDescription}.
 */
export function tensorMap<E extends TensorElement>(element: E): TensorMapParam<E> {
  return { kind: 'tensorMap', element };
}

type Scalar<T extends ScalarParam> = T extends 'u64' | 's64' | 'b64' ? number | bigint : number;

/** What the host passes: numbers, addresses as number or bigint, encoded tensor maps. */
export type ParamInputs<P extends ParamDecls> = {
  readonly [K in keyof P]: P[K] extends ScalarParam
    ? Scalar<P[K]>
    : P[K] extends ArrayParam<infer T>
      ? readonly Scalar<T>[]
      : P[K] extends TensorMapParam<TensorElement>
        ? Uint8Array
        : number | bigint;
};

/** Places the parameters one after another, each at its natural alignment. */
export function placeParams(decls: ParamDecls): { slots: ParamSlot[]; bytes: number } {
  const slots: ParamSlot[] = [];
  let end = 0;
  for (const [name, decl] of Object.entries(decls)) {
    if (!/^[A-Za-z]\w*$/.test(name)) {
      throw new DeclarationError(`parameter "${name}": expected letters, digits and underscores`);
    }
    const { type, count, align } = shapeOf(decl);
    const bytes = bytesOf(type) * count;
    const offset = Math.ceil(end / align) * align;
    slots.push({ name, type, count, offset, bytes, align });
    end = offset + bytes;
  }
  // What every driver accepts; larger blocks need a newer one.
  if (end > 4096) throw new DeclarationError(`the parameters need ${end} bytes; the limit is 4096`);
  return { slots, bytes: end };
}

/** The scalars that a parameter consists of, and its alignment. */
function shapeOf(decl: ParamDecl): { type: ScalarParam; count: number; align: number } {
  if (typeof decl === 'string') return { type: decl, count: 1, align: bytesOf(decl) };
  if (decl.kind === 'pointer') return { type: 'u64', count: 1, align: 8 };
  if (decl.kind === 'array')
    return { type: decl.type, count: decl.count, align: bytesOf(decl.type) };
  return { type: 'b64', count: tensorMapBytes / 8, align: 64 };
}

/**
 * Writes parameter values as the driver expects them in `CU_LAUNCH_PARAM_BUFFER_POINTER`.
 * @throws DeclarationError for a missing, unknown or out-of-range value.
 */
export function packParams(
  kernel: string,
  slots: readonly ParamSlot[],
  bytes: number,
  values: Readonly<Record<string, number | bigint | readonly (number | bigint)[] | Uint8Array>>,
): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(bytes);
  const view = new DataView(buffer.buffer);
  for (const name of Object.keys(values)) {
    if (!slots.some((slot) => slot.name === name)) {
      throw new DeclarationError(`kernel ${kernel} has no parameter "${name}"`);
    }
  }
  for (const slot of slots) {
    const given = values[slot.name];
    if (given instanceof Uint8Array) {
      if (given.length !== slot.bytes || slot.align !== 64) {
        throw new DeclarationError(
          `kernel ${kernel}: parameter "${slot.name}" has ${slot.bytes} bytes and ${slot.align === 64 ? 'is' : 'is not'} a tensor map, got ${given.length} bytes`,
        );
      }
      buffer.set(given, slot.offset);
      continue;
    }
    const list = typeof given === 'object' ? given : [given];
    if (given === undefined || list.length !== slot.count) {
      throw new DeclarationError(
        `kernel ${kernel}: parameter "${slot.name}" needs ${slot.count} value(s) of ${slot.type}, got ${given === undefined ? 'none' : list.length}`,
      );
    }
    list.forEach((value, i) => {
      write(view, slot, slot.offset + (i * slot.bytes) / slot.count, value, kernel);
    });
  }
  return buffer;
}

function write(
  view: DataView,
  slot: ParamSlot,
  offset: number,
  value: number | bigint,
  kernel: string,
): void {
  if (slot.type === 'f32') {
    view.setFloat32(offset, Number(value), true);
    return;
  }
  const wide = slot.bytes / slot.count === 8;
  const signed = slot.type === 's32' || slot.type === 's64';
  const limit = 2 ** (wide ? 64 : 32);
  const low = signed ? -limit / 2 : 0;
  const high = signed ? limit / 2 : limit;
  const integral = typeof value === 'bigint' || Number.isInteger(value);
  if (!integral || value < low || value >= high) {
    throw new DeclarationError(
      `kernel ${kernel}: parameter "${slot.name}" must be ${slot.type}, got ${value}`,
    );
  }
  if (wide) view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
  else view.setUint32(offset, Number(value) >>> 0, true);
}
