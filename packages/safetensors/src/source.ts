import { FileFormatError, InvalidArgumentError, OutOfMemoryError } from '@flash-mla/core';
import { openFile } from '#files';
import type { OpenFile } from './files/open-file.ts';

/** What a file can be read from: a path or URL, or its bytes. A path needs Node. */
export type FileInput = string | URL | ArrayBuffer | Uint8Array | Blob;

/** Bytes that are read by range. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /** The bytes `begin` to `end`: a view where the source lies in memory, else a copy. */
  read(begin: number, end: number): Promise<Uint8Array>;
  /** Fills memory of the caller's with the bytes from `begin` on. */
  readInto(target: Uint8Array, begin: number): Promise<void>;
  close(): Promise<void>;
}

/** Throws {@link InvalidArgumentError} for what is no file or cannot be opened. */
export async function openSource(input: FileInput, name?: string): Promise<ByteSource> {
  if (typeof input === 'string' || input instanceof URL) {
    const path = String(input);
    try {
      return checked(name ?? path, await openFile(input));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new InvalidArgumentError('file', 'a file that can be read', `'${path}' (${why})`);
    }
  }
  if (input instanceof Blob) {
    const own = (input as Partial<File>).name ?? 'blob';
    return checked(name ?? own, {
      size: input.size,
      read: async (begin, end) => new Uint8Array(await input.slice(begin, end).arrayBuffer()),
      readInto: async (target, begin) => {
        const part = await input.slice(begin, begin + target.length).arrayBuffer();
        target.set(new Uint8Array(part));
        return part.byteLength;
      },
      close: async () => {},
    });
  }
  const isBytes = input instanceof Uint8Array;
  if (!isBytes && !(input instanceof ArrayBuffer)) {
    throw new InvalidArgumentError(
      'file',
      'a path, a URL, an ArrayBuffer, a Uint8Array or a Blob',
      input === null ? 'null' : typeof input,
    );
  }
  const bytes = isBytes ? input : new Uint8Array(input);
  return {
    name: name ?? 'bytes',
    size: bytes.byteLength,
    read: async (begin, end) => bytes.subarray(begin, end),
    readInto: async (target, begin) => target.set(bytes.subarray(begin, begin + target.length)),
    close: async () => {},
  };
}

/** A source whose reads give what was asked for, or say why they do not. */
function checked(name: string, source: OpenFile): ByteSource {
  const checkLength = (begin: number, end: number, length: number): void => {
    if (length === end - begin) return;
    throw new FileFormatError(
      name,
      'data',
      `${source.size} bytes, as when it was opened`,
      `an end at byte ${begin + length}`,
    );
  };
  return {
    name,
    size: source.size,
    close: () => source.close(),
    read: async (begin, end) => {
      const bytes = await source.read(begin, end).catch((cause: unknown) => {
        if (!(cause instanceof RangeError)) throw cause;
        const remedy = 'Read the tensor in parts: readRows().';
        throw new OutOfMemoryError('host', end - begin, undefined, remedy);
      });
      checkLength(begin, end, bytes.byteLength);
      return bytes;
    },
    readInto: async (target, begin) => {
      checkLength(begin, begin + target.length, await source.readInto(target, begin));
    },
  };
}
