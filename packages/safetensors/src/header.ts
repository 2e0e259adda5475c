import { FileFormatError } from '@flash-mla/core';
import { bitsOf } from './dtypes.ts';
import { HeaderReader, shorten } from './header-reader.ts';

/** One tensor as a safetensors header announces it. */
export interface TensorEntry {
  readonly name: string;
  /** The file's own name, e.g. `BF16`. May be one that this library cannot hold. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its bytes lie behind the header: `begin` to `end`, exclusive. */
  readonly begin: number;
  readonly end: number;
}

/** What a safetensors file holds. */
export interface Header {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** A longer header is refused unread, as by the format's reference implementation. */
export const maxHeaderBytes = 100_000_000;

/** PyTorch allows no more dimensions either. */
const maxRank = 64;

/**
 * Length of the header, from the 8 bytes that a file begins with. Throws {@link FileFormatError} for a
 * length that the file or reason cannot hold.
 */
export function headerLength(file: string, prefix: Uint8Array, fileBytes: number): number {
  const field = 'header length';
  if (prefix.byteLength < 8) {
    throw new FileFormatError(file, field, '8 bytes', `a file of ${fileBytes} bytes`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  const limit = Math.min(maxHeaderBytes, fileBytes - 8);
  if (length > BigInt(limit)) {
    const why = limit === maxHeaderBytes ? 'the limit' : `the rest of a file of ${fileBytes} bytes`;
    throw new FileFormatError(file, field, `at most ${limit} (${why})`, `${length}`);
  }
  return Number(length);
}

/**
 * Parses and validates a header: the tensors must cover the `dataBytes` behind it in turn, without
 * gaps and overlaps, and their shapes must fit their bytes. Throws {@link FileFormatError} naming the
 * field.
 */
export function parseHeader(file: string, bytes: Uint8Array, dataBytes: number): Header {
  const reader = new HeaderReader(file, decodeText(file, bytes));
  const metadata = new Map<string, string>();
  const tensors = new Map<string, TensorEntry>();
  reader.object('header', (name, field) => {
    if (name === '__metadata__') {
      reader.object(field, (key, path) => metadata.set(key, reader.string(path)));
    } else {
      tensors.set(name, readEntry(reader, name, field));
    }
  });
  reader.end('header');
  checkCoverage(file, [...tensors.values()], dataBytes);
  return { metadata, tensors };
}

function decodeText(file: string, bytes: Uint8Array): string {
  // TextDecoder refuses shared memory, which a caller's bytes may be in.
  const own = bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice();
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(own);
  } catch {
    throw new FileFormatError(file, 'header', 'UTF-8 text', 'bytes that are not');
  }
}

function readEntry(reader: HeaderReader, name: string, field: string): TensorEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  reader.object(field, (key, path) => {
    if (key === 'dtype') dtype = reader.string(path);
    else if (key === 'shape') shape = reader.integers(path, maxRank);
    else if (key === 'data_offsets') offsets = reader.integers(path, 2);
    else reader.fail(path, 'only dtype, shape and data_offsets', 'another key');
  });
  if (dtype === undefined) return reader.fail(`${field}.dtype`, 'a string', 'none');
  if (shape === undefined) return reader.fail(`${field}.shape`, 'a list', 'none');
  const [begin, end] = offsets ?? [];
  if (begin === undefined || end === undefined || begin > end) {
    const given = offsets === undefined ? 'none' : `[${offsets.join(', ')}]`;
    return reader.fail(`${field}.data_offsets`, '[begin, end] with begin <= end', given);
  }
  checkSize(reader, field, dtype, shape, end - begin);
  return { name, dtype, shape, begin, end };
}

/** Shape and dtype must account for the bytes exactly. Of an unknown dtype only the product is checked. */
function checkSize(
  reader: HeaderReader,
  field: string,
  dtype: string,
  shape: readonly number[],
  bytes: number,
): void {
  const elements = shape.includes(0) ? 0 : shape.reduce((product, n) => product * n, 1);
  const bits = bitsOf(dtype);
  const text = `${shorten(dtype)} [${shape.slice(0, 8).join(', ')}${shape.length > 8 ? ', …' : ''}]`;
  if (elements * (bits ?? 1) > Number.MAX_SAFE_INTEGER) {
    reader.fail(`${field}.shape`, 'a tensor that a file can hold', text);
  }
  if (bits !== undefined && elements * bits !== bytes * 8) {
    const needed = `${Math.ceil((elements * bits) / 8)} bytes for ${text}`;
    reader.fail(`${field}.data_offsets`, needed, `${bytes} bytes`);
  }
}

function checkCoverage(file: string, entries: TensorEntry[], dataBytes: number): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== covered) {
      const what = begin < covered ? 'an overlap' : 'a gap';
      throw new FileFormatError(
        file,
        `header.${shorten(name)}.data_offsets`,
        `a tensor that begins at byte ${covered}, where the one before ends`,
        `${what}: [${begin}, ${end}]`,
      );
    }
    if (end > dataBytes) {
      throw new FileFormatError(
        file,
        `header.${shorten(name)}.data_offsets`,
        `an end within the ${dataBytes} bytes of data`,
        `${end}`,
      );
    }
    covered = end;
  }
  if (covered !== dataBytes) {
    throw new FileFormatError(
      file,
      'data',
      `${covered} bytes, as many as the tensors have`,
      `${dataBytes} bytes`,
    );
  }
}
