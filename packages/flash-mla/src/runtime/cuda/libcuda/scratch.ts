import type { NativeLibrary } from './native.ts';

/** A block of memory that native code can be pointed at, for structs and return values. */
export class Scratch {
  /** Valid as long as something refers to this object. */
  readonly address: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;

  constructor(library: NativeLibrary, bytes: number) {
    const buffer = new ArrayBuffer(bytes);
    this.bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.address = library.addressOf(this.bytes);
  }

  i32(offset = 0): number {
    return this.#view.getInt32(offset, true);
  }

  f32(offset = 0): number {
    return this.#view.getFloat32(offset, true);
  }

  /** A size, address or handle. */
  u64(offset = 0): number {
    return this.#view.getUint32(offset, true) + this.#view.getUint32(offset + 4, true) * 2 ** 32;
  }

  /** A NUL-terminated string. */
  text(offset = 0): string {
    const end = this.bytes.indexOf(0, offset);
    return new TextDecoder().decode(this.bytes.subarray(offset, end < 0 ? undefined : end));
  }

  setU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  setU64(offset: number, value: number): void {
    this.#view.setUint32(offset, value % 2 ** 32, true);
    this.#view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
  }

  view(offset: number, bytes: number): DataView<ArrayBuffer> {
    return new DataView(this.bytes.buffer, offset, bytes);
  }
}

/** A NUL-terminated string for native code. */
export function nativeText(text: string): Uint8Array<ArrayBuffer> {
  const encoded = new TextEncoder().encode(`${text}\0`);
  const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
  bytes.set(encoded);
  return bytes;
}
