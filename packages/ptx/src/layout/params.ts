import { DeclarationError } from '../errors.ts';
import type { ParamSlot } from '../ir/program.ts';
import { bytesOf, type MemType } from '../ir/types.ts';

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

/** One declared parameter. */
export type ParamDecl = ScalarParam | PointerParam<MemType> | ArrayParam<ScalarParam>;

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

type Scalar<T extends ScalarParam> = T extends 'u64' | 's64' | 'b64' ? number | bigint : number;

/** What the host passes: numbers, and addresses as number or bigint. */
export type ParamInputs<P extends ParamDecls> = {
  readonly [K in keyof P]: P[K] extends ScalarParam
    ? Scalar<P[K]>
    : P[K] extends ArrayParam<infer T>
      ? readonly Scalar<T>[]
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
    const scalar = typeof decl === 'string';
    const type = scalar ? decl : decl.kind === 'pointer' ? 'u64' : decl.type;
    const count = !scalar && decl.kind === 'array' ? decl.count : 1;
    const align = bytesOf(type);
    const offset = Math.ceil(end / align) * align;
    slots.push({ name, type, count, offset, bytes: align * count, align });
    end = offset + align * count;
  }
  // What every driver accepts; larger blocks need a newer one.
  if (end > 4096) throw new DeclarationError(`the parameters need ${end} bytes; the limit is 4096`);
  return { slots, bytes: end };
}

/**
 * Writes parameter values as the driver expects them in `CU_LAUNCH_PARAM_BUFFER_POINTER`.
 * @throws DeclarationError for a missing, unknown or out-of-range value.
 */
export function packParams(
  kernel: string,
  slots: readonly ParamSlot[],
  bytes: number,
  values: Readonly<Record<string, number | bigint | readonly (number | bigint)[]>>,
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
    const list = typeof given === 'object' ? given : [given];
    if (given === undefined || list.length !== slot.count) {
      throw new DeclarationError(
        `kernel ${kernel}: parameter "${slot.name}" needs ${slot.count} value(s) of ${slot.type}, got ${given === undefined ? 'none' : list.length}`,
      );
    }
    list.forEach((value, i) => {
      write(view, slot, slot.offset + i * slot.align, value, kernel);
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
