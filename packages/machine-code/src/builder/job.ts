import { KernelError } from '../errors.ts';
import { Memory } from '../operands/memory.ts';
import type { Gpr64 } from '../registers/gpr.ts';

/** Types of a job's fields; a pointer is an address of 64 bits. */
export type FieldType = 'pointer' | 'u64' | 'i64' | 'u32' | 'i32' | 'f32' | 'f64';
export type JobDeclaration = Readonly<Record<string, FieldType>>;

/** What the host gives for each field. */
export type JobValues<J extends JobDeclaration> = {
  readonly [F in keyof J]: J[F] extends 'pointer' | 'u64' | 'i64' ? bigint | number : number;
};

const sizes: Readonly<Record<FieldType, 4 | 8>> = {
  pointer: 8,
  u64: 8,
  i64: 8,
  f64: 8,
  u32: 4,
  i32: 4,
  f32: 4,
};

/** A field of the job in memory, as an operand of the field's size. */
export class JobField<out T extends FieldType = FieldType> extends Memory<'gpr64'> {
  readonly name: string;
  readonly type: T;

  constructor(base: Gpr64, name: string, type: T, offset: number) {
    super({ base, displacement: offset, bytes: sizes[type] });
    this.name = name;
    this.type = type;
  }
}

/** The fields of a job, as the kernel sees them. */
export type JobFields<J extends JobDeclaration> = { readonly [F in keyof J]: JobField<J[F]> };

/** Where the fields of a job lie: in their order, each aligned to its size, as in C. */
export interface JobLayout {
  readonly bytes: number;
  readonly offsets: ReadonlyMap<string, { readonly type: FieldType; readonly offset: number }>;
}

export function layOutJob(declaration: JobDeclaration): JobLayout {
  const offsets = new Map<string, { type: FieldType; offset: number }>();
  let end = 0;
  for (const [name, type] of Object.entries(declaration)) {
    const size = sizes[type];
    if (size === undefined) {
      throw new KernelError({
        subject: `field ${name} of a job`,
        expected: Object.keys(sizes).join(', '),
        actual: String(type),
        remedy: 'Choose one of these types.',
      });
    }
    const offset = Math.ceil(end / size) * size;
    offsets.set(name, { type, offset });
    end = offset + size;
  }
  return { bytes: Math.ceil(end / 8) * 8, offsets };
}

/** The bytes of a job. @throws KernelError for fields that are missing, unknown or out of range. */
export function packJob(
  layout: JobLayout,
  values: Readonly<Record<string, number | bigint>>,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(layout.bytes);
  const view = new DataView(bytes.buffer);
  const unknown = Object.keys(values).find((name) => !layout.offsets.has(name));
  if (unknown !== undefined) throw wrong(unknown, 'a field of the job', 'a field it does not have');
  for (const [name, { type, offset }] of layout.offsets) {
    const value = values[name];
    if (value === undefined) throw wrong(name, `a value of type ${type}`, 'none');
    writeField(view, offset, name, type, value);
  }
  return bytes;
}

const limits: Partial<Record<FieldType, readonly [bigint, bigint]>> = {
  pointer: [0n, (1n << 64n) - 1n],
  u64: [0n, (1n << 64n) - 1n],
  i64: [-(1n << 63n), (1n << 63n) - 1n],
  u32: [0n, (1n << 32n) - 1n],
  i32: [-(1n << 31n), (1n << 31n) - 1n],
};

function writeField(
  view: DataView,
  offset: number,
  name: string,
  type: FieldType,
  value: number | bigint,
): void {
  const limit = limits[type];
  if (limit === undefined) {
    if (typeof value !== 'number') throw wrong(name, `a number of type ${type}`, `${value}n`);
    if (type === 'f32') view.setFloat32(offset, value, true);
    else view.setFloat64(offset, value, true);
    return;
  }
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (!isWhole || value < limit[0] || value > limit[1]) {
    throw wrong(name, `an integer from ${limit[0]} to ${limit[1]}`, String(value));
  }
  if (sizes[type] === 4) view.setUint32(offset, Number(value) >>> 0, true);
  else view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
}

const wrong = (name: string, expected: string, actual: string) =>
  new KernelError({
    subject: `field ${name} of the job`,
    expected,
    actual,
    remedy: 'Give every declared field a value of its type.',
  });
