// Writes the GGUF format, version 3: metadata, the table of the tensors, then their bytes, each at a multiple
// of 32.
import { closeSync, openSync, writeSync } from 'node:fs';

const alignment = 32;
const types = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };
export const ggmlTypes = { f32: 0, bf16: 30 };

/** A value of the metadata with its type, as {@link writeGguf} takes it. */
export const u32 = (value) => ({ type: 'u32', value });
export const f32 = (value) => ({ type: 'f32', value });
export const bool = (value) => ({ type: 'bool', value });
export const string = (value) => ({ type: 'string', value });
export const array = (of, values) => ({ type: 'array', of, value: values });

/**
 * Writes a file.
 *
 * @param metadata key → what `u32`, `f32`, `bool`, `string`, `array` make
 * @param tensors `{ name, dtype, shape, data }`: rows first, as everywhere but in the file
 */
export function writeGguf(path, metadata, tensors) {
  const header = new Bytes();
  header.raw(Buffer.from('GGUF')).number('u32', 3).long(tensors.length);
  const entries = Object.entries(metadata);
  header.long(entries.length);
  for (const [key, { type, of, value }] of entries) {
    header.text(key).number('u32', types[type]);
    if (type === 'array') {
      header.number('u32', types[of]).long(value.length);
      for (const each of value) header.value(of, each);
    } else header.value(type, value);
  }
  let offset = 0;
  for (const { name, dtype, shape, data } of tensors) {
    header.text(name).number('u32', shape.length);
    for (const size of shape.toReversed()) header.long(size);
    header.number('u32', ggmlTypes[dtype]).long(offset);
    offset += data.byteLength + padding(data.byteLength);
  }
  const file = openSync(path, 'w');
  try {
    const head = header.whole();
    writeSync(file, head);
    writeSync(file, Buffer.alloc(padding(head.length)));
    for (const { data } of tensors) {
      writeSync(file, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
      writeSync(file, Buffer.alloc(padding(data.byteLength)));
    }
  } finally {
    closeSync(file);
  }
}

const padding = (bytes) => (alignment - (bytes % alignment)) % alignment;

class Bytes {
  #parts = [];

  raw(part) {
    this.#parts.push(part);
    return this;
  }

  number(type, value) {
    const part = Buffer.alloc(4);
    if (type === 'u32') part.writeUInt32LE(value);
    else if (type === 'i32') part.writeInt32LE(value);
    else part.writeFloatLE(value);
    return this.raw(part);
  }

  long(value) {
    const part = Buffer.alloc(8);
    part.writeBigUInt64LE(BigInt(value));
    return this.raw(part);
  }

  text(value) {
    const bytes = Buffer.from(value, 'utf8');
    return this.long(bytes.length).raw(bytes);
  }

  value(type, value) {
    if (type === 'string') return this.text(value);
    if (type === 'bool') return this.raw(Buffer.from([value ? 1 : 0]));
    return this.number(type, value);
  }

  whole() {
    return Buffer.concat(this.#parts);
  }
}
