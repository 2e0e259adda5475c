import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type DType, FileFormatError, InvalidArgumentError } from '@flash-mla/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  encodeSafetensors,
  openSafetensors,
  safetensorsChunks,
  type WritableTensor,
  writeSafetensors,
} from './index.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const everyDType: Readonly<Record<DType, WritableTensor>> = {
  f32: { dtype: 'f32', shape: [2, 2], data: Float32Array.of(1.5, -0, Number.NaN, 1e30) },
  f16: { dtype: 'f16', shape: [3], data: Uint16Array.of(0x3c00, 0x7c00, 1) },
  bf16: { dtype: 'bf16', shape: [1, 3], data: Uint16Array.of(0x3f80, 0xff80, 0x7fff) },
  e4m3: { dtype: 'e4m3', shape: [5], data: Uint8Array.of(0, 1, 0x7e, 0x7f, 0xff) },
  e8m0: { dtype: 'e8m0', shape: [1], data: Uint8Array.of(127) },
  u8: { dtype: 'u8', shape: [3, 1], data: Uint8Array.of(0, 128, 255) },
  i32: { dtype: 'i32', shape: [], data: Int32Array.of(-(2 ** 31)) },
  i64: { dtype: 'i64', shape: [2, 0, 3], data: new BigInt64Array(0) },
};

/** A file with the given header text and data, whatever they claim. */
function raw(header: string, dataBytes = 0, length = new TextEncoder().encode(header).length) {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
  file.set(json, 8);
  return file;
}

const f32 = (begin: number, end: number, shape: unknown = [(end - begin) / 4]) =>
  JSON.stringify({ dtype: 'F32', shape, data_offsets: [begin, end] });

describe('a file written by the library', () => {
  it('gives back every dtype, shape and the metadata', async () => {
    const bytes = await encodeSafetensors(everyDType, { op: 'é "quoted"\n', __proto__x: '' });
    const file = await openSafetensors(bytes);
    expect(Object.fromEntries(file.metadata)).toEqual({ op: 'é "quoted"\n', __proto__x: '' });
    for (const [name, { dtype, shape, data }] of Object.entries(everyDType)) {
      const tensor = await file.read(name, dtype);
      expect(tensor.shape).toEqual(shape);
      expect(tensor.data).toEqual(data);
    }
  });

  it('aligns every tensor, so that reading bytes in memory copies nothing', async () => {
    const bytes = await encodeSafetensors(everyDType, { pad: 'x' });
    const file = await openSafetensors(bytes);
    for (const [name, { shape }] of Object.entries(everyDType)) {
      const { data } = await file.read(name);
      if (!shape.includes(0)) expect(data.buffer).toBe(bytes.buffer);
    }
  });

  it('is the same from a path, a file URL, a Blob, an ArrayBuffer and shared memory', async () => {
    const path = join(folder, 'same.safetensors');
    await writeSafetensors(path, everyDType);
    const bytes = new Uint8Array(readFileSync(path));
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    for (const input of [
      path,
      pathToFileURL(path),
      new Blob([bytes]),
      bytes.slice().buffer,
      shared,
    ]) {
      const file = await openSafetensors(input);
      expect((await file.read('f32')).data).toEqual(everyDType.f32.data);
      expect((await file.read('bf16')).data).toEqual(everyDType.bf16.data);
      await file.close();
    }
  });

  it('streams chunks of any size and refuses too few or too many bytes', async () => {
    const path = join(folder, 'chunks.safetensors');
    const write = (chunks: Uint8Array[]) =>
      writeSafetensors(path, { t: { dtype: 'i32', shape: [3], data: () => chunks } });
    await write([Uint8Array.of(1, 0), Uint8Array.of(0, 0, 2, 0, 0, 0, 3), new Uint8Array(3)]);
    const file = await openSafetensors(path);
    expect((await file.read('t', 'i32')).data).toEqual(Int32Array.of(1, 2, 3));
    await file.close();
    for (const size of [11, 13]) {
      const before = readFileSync(path);
      await expect(write([new Uint8Array(size)])).rejects.toMatchObject({
        name: 'InvalidArgumentError',
        argument: 'tensors.t.data',
      });
      expect(readFileSync(path)).toEqual(before);
    }
    expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('keeps a tensor called __proto__', async () => {
    const tensors = new Map([['__proto__', everyDType.u8]]);
    const file = await openSafetensors(await encodeSafetensors(tensors));
    expect([...file.entries.keys()]).toEqual(['__proto__']);
    expect((await file.read('__proto__')).data).toEqual(everyDType.u8.data);
  });
});

it('reads rows of a file of 5 GB without loading it', async () => {
  const rows = 5_000_000;
  const path = join(folder, 'large.safetensors');
  const handle = await open(path, 'w');
  const header = raw(
    `{"big":${JSON.stringify({ dtype: 'U8', shape: [rows, 1000], data_offsets: [0, rows * 1000] })}}`,
  );
  await handle.write(header);
  await handle.truncate(header.length + rows * 1000);
  await handle.write(Uint8Array.of(7, 8, 9), 0, 3, header.length + rows * 1000 - 3);
  await handle.close();
  const before = process.memoryUsage().rss;
  const file = await openSafetensors(path);
  const { shape, data } = await file.readRows('big', rows - 2, rows, 'u8');
  expect(shape).toEqual([2, 1000]);
  expect([...data.subarray(-4)]).toEqual([0, 7, 8, 9]);
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
  await file.close();
  await rm(path);
});

it('streams 5 GB out through one chunk of memory', async () => {
  const chunk = new Uint8Array(2 ** 24).fill(5);
  const count = 300;
  const data = function* () {
    for (let i = 0; i < count; i++) yield chunk;
  };
  const before = process.memoryUsage().rss;
  let written = 0;
  const tensors = { t: { dtype: 'u8', shape: [count, chunk.length], data } } as const;
  for await (const { byteLength } of safetensorsChunks(tensors)) written += byteLength;
  const headerBytes = written - count * chunk.length;
  expect(headerBytes).toBeLessThan(200);
  expect(headerBytes % 8).toBe(0);
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
});

describe('reading', () => {
  it('fails for a dtype that the library cannot hold only when that tensor is read', async () => {
    const entry = { dtype: 'F64', shape: [1], data_offsets: [4, 12] };
    const file = await openSafetensors(raw(`{"a":${f32(0, 4)},"b":${JSON.stringify(entry)}}`, 12));
    expect((await file.read('a')).data).toHaveLength(1);
    expect(file.entries.get('b')?.dtype).toBe('F64');
    expect(await file.readBytes('b')).toHaveLength(8);
    expect(() => file.read('missing')).toThrow(FileFormatError);
    await expect(file.read('b')).rejects.toMatchObject({ field: 'header.b.dtype' });
    await expect(file.read('a', 'bf16')).rejects.toMatchObject({ field: 'header.a.dtype' });
  });

  it('says when a file has shrunk since it was opened', async () => {
    const path = join(folder, 'shrinking.safetensors');
    await writeSafetensors(path, { t: { dtype: 'u8', shape: [100], data: new Uint8Array(100) } });
    const file = await openSafetensors(path);
    await writeFile(path, readFileSync(path).subarray(0, 90));
    await expect(file.read('t')).rejects.toMatchObject({ name: 'FileFormatError', field: 'data' });
    await file.close();
  });

  it('says that a file is not there', async () => {
    const missing = join(folder, 'missing.safetensors');
    await expect(openSafetensors(missing)).rejects.toThrow(InvalidArgumentError);
    await expect(openSafetensors(missing)).rejects.toThrow(/missing\.safetensors.*ENOENT/);
    await expect(openSafetensors(folder)).rejects.toThrow(InvalidArgumentError);
    await expect(openSafetensors(42 as never)).rejects.toThrow(/ArrayBuffer/);
    expect(existsSync(missing)).toBe(false);
  });
});

describe('a header that is wrong is refused, naming the field', () => {
  const entry = (extra: object) =>
    `{"t":${JSON.stringify({ dtype: 'F32', shape: [1], data_offsets: [0, 4], ...extra })}}`;
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  it.each<[what: string, file: Uint8Array, field: string]>([
    ['an empty file', new Uint8Array(0), 'header length'],
    ['seven bytes', new Uint8Array(7), 'header length'],
    ['a length beyond the file', raw('{}', 0, 3), 'header length'],
    ['a length of 2^63', raw('{}', 0, 2 ** 63), 'header length'],
    ['no JSON', raw('hello'), 'header'],
    ['a list', raw('[]'), 'header'],
    ['an open object', raw('{"t":'), 'header.t'],
    ['an open string', raw('{"t'), 'header (a key)'],
    ['no header', raw(''), 'header'],
    ['text behind the JSON', raw('{} x'), 'header'],
    ['a second object', raw('{}{}'), 'header'],
    ['invalid UTF-8', Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe), 'header'],
    ['a control character', raw('{"\u0001":1}'), 'header (a key)'],
    ['deep nesting', raw(`{"t":{"shape":${deep}}}`), 'header.t.shape[0]'],
    ['deep nesting of objects', raw('{"a":'.repeat(100_000)), 'header.a.a'],
    ['a duplicate tensor', raw(`{"t":${f32(0, 4)},"t":${f32(0, 4)}}`, 4), 'header.t'],
    ['a duplicate field', raw('{"t":{"dtype":"F32","dtype":"F16"}}'), 'header.t.dtype'],
    ['an unknown field', raw(entry({ stride: 1 }), 4), 'header.t.stride'],
    ['no dtype', raw(entry({ dtype: undefined }), 4), 'header.t.dtype'],
    ['a dtype that is a number', raw(entry({ dtype: 3 }), 4), 'header.t.dtype'],
    ['no shape', raw(entry({ shape: undefined }), 4), 'header.t.shape'],
    ['a fractional extent', raw(entry({ shape: [0.5] }), 4), 'header.t.shape[0]'],
    ['a negative extent', raw(entry({ shape: [-1] }), 4), 'header.t.shape[0]'],
    ['an extent in exponent form', raw('{"t":{"shape":[1e2]}}'), 'header.t.shape[0]'],
    ['an extent beyond 2^53', raw('{"t":{"shape":[9007199254740992]}}'), 'header.t.shape[0]'],
    ['an extent that is text', raw(entry({ shape: ['1'] }), 4), 'header.t.shape[0]'],
    ['65 dimensions', raw(entry({ shape: Array(65).fill(1) }), 4), 'header.t.shape'],
    ['a product beyond 2^53', raw(entry({ shape: [2 ** 40, 2 ** 40] }), 4), 'header.t.shape'],
    ['no offsets', raw(entry({ data_offsets: undefined }), 4), 'header.t.data_offsets'],
    ['one offset', raw(entry({ data_offsets: [0] }), 4), 'header.t.data_offsets'],
    ['three offsets', raw(entry({ data_offsets: [0, 4, 8] }), 4), 'header.t.data_offsets'],
    ['offsets that fall', raw(entry({ data_offsets: [4, 0] }), 4), 'header.t.data_offsets'],
    ['a size that lies', raw(entry({ shape: [2] }), 4), 'header.t.data_offsets'],
    ['an end beyond the file', raw(`{"t":${f32(0, 8)}}`, 4), 'header.t.data_offsets'],
    ['a gap', raw(`{"a":${f32(0, 4)},"b":${f32(8, 12)}}`, 12), 'header.b.data_offsets'],
    ['a gap at the start', raw(`{"a":${f32(4, 8)}}`, 8), 'header.a.data_offsets'],
    ['an overlap', raw(`{"a":${f32(0, 8)},"b":${f32(4, 12)}}`, 12), 'header.b.data_offsets'],
    ['bytes that nobody owns', raw(`{"a":${f32(0, 4)}}`, 5), 'data'],
    ['metadata that are no object', raw('{"__metadata__":3}'), 'header.__metadata__'],
    ['metadata that are no text', raw('{"__metadata__":{"a":1}}'), 'header.__metadata__.a'],
    ['nested metadata', raw('{"__metadata__":{"a":{}}}'), 'header.__metadata__.a'],
    ['duplicate metadata', raw('{"__metadata__":{"a":"","a":""}}'), 'header.__metadata__.a'],
  ])('%s', async (_, file, field) => {
    const error = await openSafetensors(file).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FileFormatError);
    expect((error as FileFormatError).field).toBe(field);
  });

  it('of 100 MB and more is refused unread', async () => {
    const path = join(folder, 'long-header.safetensors');
    const handle = await open(path, 'w');
    await handle.write(raw('', 0, 100_000_001));
    await handle.truncate(100_000_100);
    await handle.close();
    const before = process.memoryUsage().rss;
    await expect(openSafetensors(path)).rejects.toMatchObject({ field: 'header length' });
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * 2 ** 20);
  });
});

describe('writing refuses', () => {
  it.each<[string, unknown, unknown, string]>([
    ['a shape that does not fit', { t: { ...everyDType.f32, shape: [3] } }, {}, 'tensors.t.data'],
    ['a negative extent', { t: { ...everyDType.f32, shape: [-4] } }, {}, 'tensors.t.shape'],
    ['an unknown dtype', { t: { ...everyDType.f32, dtype: 'f64' } }, {}, 'tensors.t.dtype'],
    ['a reserved name', { __metadata__: everyDType.f32 }, {}, 'tensors.__metadata__'],
    ['metadata that are no text', {}, { a: 1 }, 'metadata.a'],
  ])('%s', async (_, tensors, metadata, argument) => {
    await expect(encodeSafetensors(tensors as never, metadata as never)).rejects.toMatchObject({
      name: 'InvalidArgumentError',
      argument,
    });
  });
});
