import {
  type DType,
  FileFormatError,
  type HostTensor,
  hostTensorFromBytes,
  InvalidArgumentError,
} from '@flash-mla/core';
import { libraryDType, readableDTypes } from './dtypes.ts';
import { type Header, headerLength, parseHeader, type TensorEntry } from './header.ts';
import { shorten } from './header-reader.ts';
import { type ByteSource, type FileInput, openSource } from './source.ts';

/** The bytes of one tensor of a file. */
export interface TensorReader {
  readonly byteLength: number;
  /** Fills `target` with the bytes from `begin` on. */
  readInto(target: Uint8Array, begin: number): Promise<void>;
}

/**
 * An open safetensors file. Only its header has been read; tensors are read when asked for, so a file
 * may be larger than memory. Tensors of a file that lies in memory are views of it wherever its bytes
 * are aligned for their dtype (the writer of this library aligns them).
 *
 * Own code: on npm, `safetensors` is a single 0.0.1 release without a repository, and the model hub's
 * client reads headers of its own repositories only.
 */
export class SafetensorsFile implements AsyncDisposable {
  /** The path, or what the file was called when it was opened. */
  readonly name: string;
  /** `__metadata__`: empty where the file has none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Every tensor by name, those of dtypes that the library cannot hold included. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly #source: ByteSource;
  readonly #dataBegin: number;

  /** Use {@link openSafetensors}. */
  constructor(source: ByteSource, header: Header, dataBegin: number) {
    this.name = source.name;
    this.metadata = header.metadata;
    this.entries = header.tensors;
    this.#source = source;
    this.#dataBegin = dataBegin;
  }

  has(name: string): boolean {
    return this.entries.has(name);
  }

  /**
   * Reads one tensor. Throws {@link FileFormatError} where there is none of this name, where it has
   * not the `dtype` asked for, or one that the library cannot hold.
   */
  read<D extends DType>(name: string, dtype?: D): Promise<HostTensor<D>> {
    return this.readRows(name, 0, this.#entry(name).shape[0] ?? 1, dtype);
  }

  /** As {@link read}, of the entries `begin` to `end` along the first dimension only. */
  async readRows<D extends DType>(
    name: string,
    begin: number,
    end: number,
    dtype?: D,
  ): Promise<HostTensor<D>> {
    const entry = this.#entry(name);
    const actual = this.#dtypeOf(entry, dtype);
    const [rows = 1, ...inner] = entry.shape;
    if (!Number.isInteger(begin) || !Number.isInteger(end) || begin < 0 || begin > end) {
      throw new InvalidArgumentError('begin, end', 'integers with 0 <= begin <= end', `${begin}`);
    }
    if (end > rows) throw new InvalidArgumentError('end', `at most ${rows}`, `${end}`);
    const rowBytes = rows === 0 ? 0 : (entry.end - entry.begin) / rows;
    const bytes = await this.#readBytes(entry, begin * rowBytes, end * rowBytes);
    const shape = entry.shape.length === 0 ? [] : [end - begin, ...inner];
    return hostTensorFromBytes(actual, shape, bytes) as HostTensor<D>;
  }

  /**
   * The bytes of a tensor of any dtype, to be read by range into memory of the caller's: what a device's
   * `tensor.writeFrom` takes. Nothing is read before. Throws {@link FileFormatError} where there is none.
   */
  reader(name: string): TensorReader {
    const entry = this.#entry(name);
    const byteLength = entry.end - entry.begin;
    return {
      byteLength,
      readInto: async (target, begin) => {
        if (!Number.isSafeInteger(begin) || begin < 0 || begin + target.length > byteLength) {
          const range = `${target.length} bytes from ${begin} on`;
          throw new InvalidArgumentError('begin', `a range within ${byteLength} bytes`, range);
        }
        await this.#source.readInto(target, this.#dataBegin + entry.begin + begin);
      },
    };
  }

  /** The bytes of a tensor of any dtype. */
  readBytes(name: string): Promise<Uint8Array> {
    const entry = this.#entry(name);
    return this.#readBytes(entry, 0, entry.end - entry.begin);
  }

  /** Closes the file. Tensors that were read stay valid. */
  close(): Promise<void> {
    return this.#source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #readBytes(entry: TensorEntry, begin: number, end: number): Promise<Uint8Array> {
    const at = this.#dataBegin + entry.begin;
    return this.#source.read(at + begin, at + end);
  }

  #entry(name: string): TensorEntry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    if (typeof name !== 'string') throw new InvalidArgumentError('name', 'a string', typeof name);
    throw new FileFormatError(this.name, `tensor ${shorten(name)}`, 'to be there', 'none');
  }

  #dtypeOf(entry: TensorEntry, wanted: DType | undefined): DType {
    const dtype = libraryDType(entry.dtype);
    const field = `header.${shorten(entry.name)}.dtype`;
    if (dtype === undefined) {
      const expected = `one of ${readableDTypes}`;
      throw new FileFormatError(this.name, field, expected, shorten(entry.dtype));
    }
    if (wanted !== undefined && dtype !== wanted) {
      throw new FileFormatError(this.name, field, wanted, dtype);
    }
    return dtype;
  }
}

/**
 * Opens a safetensors file and checks its header: sizes that lie, overlaps, gaps, duplicate keys and
 * the like throw {@link FileFormatError} naming the field. Throws {@link InvalidArgumentError} where
 * there is no file to read. Format: huggingface/safetensors, README "Format".
 *
 * @param input a path (Node), a URL, or the bytes themselves.
 * @param name what messages call the file; by default its path.
 */
export async function openSafetensors(input: FileInput, name?: string): Promise<SafetensorsFile> {
  const source = await openSource(input, name);
  try {
    const prefix = await source.read(0, Math.min(8, source.size));
    const length = headerLength(source.name, prefix, source.size);
    const begin = 8 + length;
    const header = parseHeader(source.name, await source.read(8, begin), source.size - begin);
    return new SafetensorsFile(source, header, begin);
  } catch (error) {
    await source.close();
    throw error;
  }
}
