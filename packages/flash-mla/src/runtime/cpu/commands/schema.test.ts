import type { JobDeclaration, Kernel } from '@flash-mla/machine-code';
import { describe, expect, it } from 'vitest';
import * as jobs from '../native/descriptors.ts';
import { attendKernels } from '../native/kernels/attend/attend.ts';
import { dotsKernels } from '../native/kernels/dots/dots.ts';
import { productsAmx } from '../native/kernels/products/products-amx.ts';
import { rowsBf16 } from '../native/kernels/rows/rows-bf16.ts';
import { commandOf } from './command.ts';
import { defineCommand, maxDescriptorBytes } from './define-command.ts';
import { defineRecord, offsetOf, type Schema, type Values, writeRecord } from './schema.ts';

const bytesOf = <F extends Schema['fields']>(record: Schema<F>, values: Values<NoInfer<F>>) => {
  const bytes = new Uint8Array(record.byteLength);
  writeRecord(new DataView(bytes.buffer), 0, record, values);
  return bytes;
};

const inner = defineRecord('Inner', { flag: 'bool', scale: 'f64' });
const outer = defineRecord('Outer', { count: 'i32', first: inner, second: inner, end: 'u32' });

describe('a record', () => {
  it('has each field at a multiple of its size, and whole records inside', () => {
    expect(inner).toMatchObject({ alignment: 8, byteLength: 16 });
    expect(offsetOf(inner, 'scale')).toBe(8);
    const offsets = outer.places.map(({ name, offset }) => [name, offset]);
    expect(offsets).toEqual([
      ['count', 0],
      ['first', 8],
      ['second', 24],
      ['end', 40],
    ]);
    expect(outer.byteLength).toBe(48);
    expect(() => offsetOf(inner as Schema, 'other')).toThrow('Inner has no field other');
  });

  it('is written field by field, wherever the values stand in their object', () => {
    const bytes = bytesOf(outer, {
      end: 2 ** 32 - 2,
      second: { scale: -0.5, flag: false },
      first: { flag: true, scale: 1 / 3 },
      count: -3,
    });
    const view = new DataView(bytes.buffer);
    expect(view.getInt32(0, true)).toBe(-3);
    expect(view.getUint8(8)).toBe(1);
    expect(view.getFloat64(16, true)).toBe(1 / 3);
    expect(view.getUint8(24)).toBe(0);
    expect(view.getFloat64(32, true)).toBe(-0.5);
    expect(view.getUint32(40, true)).toBe(2 ** 32 - 2);
  });
});

describe('a command', () => {
  const kind = defineCommand('example', { rows: 'i32', isOpen: 'bool', part: inner });
  const part = { flag: true, scale: 1 };

  it('has exactly the fields of its kind', () => {
    const command = commandOf(kind, { rows: 1, isOpen: true, part }, { workspaceBytes: 64 });
    expect(command).toMatchObject({ kind: { name: 'example' }, workspaceBytes: 64 });
    expect(kind.descriptor.name).toBe('Example');
    // @ts-expect-error: a field is missing.
    commandOf(kind, { rows: 1, part });
    // @ts-expect-error: a field too many.
    commandOf(kind, { rows: 1, isOpen: true, part, columns: 1 });
    // @ts-expect-error: a number for a truth value.
    commandOf(kind, { rows: 1, isOpen: 1, part });
    // @ts-expect-error: a field of a record inside is missing.
    commandOf(kind, { rows: 1, isOpen: true, part: { flag: true } });
  });

  it('fits its slot', () => {
    const many = Array.from({ length: maxDescriptorBytes / 8 + 1 }, (_, i) => [`f${i}`, 'f64']);
    expect(() => defineCommand('large', Object.fromEntries(many))).toThrow(
      new RangeError(
        `large: ${maxDescriptorBytes + 8} bytes of fields, at most ${maxDescriptorBytes}`,
      ),
    );
  });
});

describe('jobs of machine code', () => {
  it.each<[string, Schema, Kernel<JobDeclaration>]>([
    ['attend', jobs.attend, attendKernels.avx2],
    ['dots', jobs.dots, dotsKernels.avx2],
    ['products', jobs.products, productsAmx],
    ['rows', jobs.rows, rowsBf16],
  ])('%s: lie where the machine code reads them', (_, record, kernel) => {
    const values = Object.fromEntries(record.places.map(({ name }, i) => [name, 3 * i + 1]));
    const expected = kernel.packJob(values);
    expect(bytesOf(record, values)).toEqual(expected.subarray(0, record.byteLength));
    expect(expected.subarray(record.byteLength).every((byte) => byte === 0)).toBe(true);
  });
});
