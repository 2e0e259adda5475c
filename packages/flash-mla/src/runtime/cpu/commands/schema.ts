/**
 * Records of numbers that the host and the kernels share. Each is declared once, as a table of its fields.
 * From the table follow what the host writes ({@link writeRecord}, whose values are typed by it) and the
 * AssemblyScript class by which the kernels read it: assembly/generate.mjs writes that when the kernels are
 * built, with the offsets that are computed here.
 */

/**
 * Types of fields, by AssemblyScript's names. `usize`: an address, or a number of bytes. `i64`: an integer of up to
 * 53 bits on the host. `atomic`: an i32 that threads change at once; its reader gives its address.
 */
export type ScalarType = 'bool' | 'i32' | 'u32' | 'usize' | 'i64' | 'f32' | 'f64' | 'atomic';

/** The fields of a record, in their order in memory; a field may be a record itself. */
export interface Fields {
  readonly [name: string]: ScalarType | Schema;
}

/** Where a field lies in its record. */
export interface Place {
  readonly name: string;
  readonly type: ScalarType | Schema;
  /** Bytes from the record's begin. */
  readonly offset: number;
}

/** A kind of record. */
export interface Schema<F extends Fields = Fields> {
  readonly kind: 'record';
  /** The class of its readers. */
  readonly name: string;
  readonly fields: F;
  readonly places: readonly Place[];
  readonly alignment: number;
  readonly byteLength: number;
}

/** What the host writes into a record: exactly its fields. */
export type Values<F extends Fields> = {
  readonly [N in keyof F]: F[N] extends Schema<infer G>
    ? Values<G>
    : F[N] extends 'bool'
      ? boolean
      : number;
};

/** Numbers that both sides call by the same names. */
export interface Constants<N extends string = string> {
  readonly kind: 'constants';
  readonly type: 'i32' | 'usize';
  readonly values: Readonly<Record<N, number>>;
}

const sizes: Readonly<Record<ScalarType, number>> = {
  bool: 1,
  i32: 4,
  u32: 4,
  usize: 4,
  i64: 8,
  f32: 4,
  f64: 8,
  atomic: 4,
};

/** Declares a record; each field lies at a multiple of its size. */
export function defineRecord<const F extends Fields>(name: string, fields: F): Schema<F> {
  const places: Place[] = [];
  let [end, alignment] = [0, 1];
  for (const [field, type] of Object.entries(fields)) {
    const [size, unit] =
      typeof type === 'string' ? [sizes[type], sizes[type]] : [type.byteLength, type.alignment];
    const offset = Math.ceil(end / unit) * unit;
    places.push({ name: field, type, offset });
    end = offset + size;
    alignment = Math.max(alignment, unit);
  }
  const byteLength = Math.ceil(end / alignment) * alignment;
  return { kind: 'record', name, fields, places, alignment, byteLength };
}

/** Declares numbers by name, for the kernels too; the names are those of constants: `BF16`. */
export function defineConstants<const N extends string>(
  type: Constants['type'],
  values: Readonly<Record<N, number>>,
): Constants<N> {
  return { kind: 'constants', type, values };
}

/** Bytes from a record's begin to a field. Throws `RangeError` where it has none of this name. */
export function offsetOf<F extends Fields>(record: Schema<F>, name: keyof F): number {
  const place = record.places.find((each) => each.name === name);
  if (!place) throw new RangeError(`${record.name} has no field ${String(name)}`);
  return place.offset;
}

/** Writes all fields of a record at a byte of the view. Numbers are taken modulo 2^32 by integer fields. */
export function writeRecord<F extends Fields>(
  view: DataView,
  at: number,
  record: Schema<F>,
  values: Values<NoInfer<F>>,
): void {
  for (const { name, type, offset } of record.places) {
    const value = values[name];
    if (typeof type === 'object') writeRecord(view, at + offset, type, value as Values<Fields>);
    else writeScalar(view, at + offset, type, value as number | boolean);
  }
}

function writeScalar(view: DataView, at: number, type: ScalarType, value: number | boolean): void {
  if (type === 'bool') view.setUint8(at, value ? 1 : 0);
  else if (type === 'i64') view.setBigInt64(at, BigInt(value), true);
  else if (type === 'f64') view.setFloat64(at, Number(value), true);
  else if (type === 'f32') view.setFloat32(at, Number(value), true);
  else view.setInt32(at, Number(value), true);
}
