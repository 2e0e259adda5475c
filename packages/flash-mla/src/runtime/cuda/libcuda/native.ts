/**
 * The seam to native code: a shared library as functions over integers, and the addresses of
 * ArrayBuffers (V8 keeps their bytes outside its heap and never moves them). koffi is behind it (about 60 ns a call with integers alone, three times that with objects);
 * tests put a scripted library there.
 */

/** How an argument is passed: 32 bits, or 64 for addresses, sizes and handles. */
export type NativeType = 'i32' | 'u32' | 'u64';
export type NativeFunction = (...args: number[]) => number;
/** The same on a thread of its own, for calls that take long. */
export type NativeTask = (...args: number[]) => Promise<number>;

export interface NativeLibrary {
  /** The file that was loaded. */
  readonly path: string;
  /** A function returning a 32-bit int; undefined where the library does not export it. */
  bind(symbol: string, parameters: readonly NativeType[]): NativeFunction | undefined;
  bindTask(symbol: string, parameters: readonly NativeType[]): NativeTask | undefined;
  /** Where the bytes of an ArrayBuffer lie; true as long as something refers to it. */
  addressOf(bytes: Uint8Array): number;
  /** Memory that the library owns. */
  view(address: number, bytes: number): Uint8Array<ArrayBuffer>;
  /** A NUL-terminated string that the library owns. */
  text(address: number): string;
}

/** Opens shared libraries. */
export interface NativeLoader {
  /** Throws where the file is missing or no library. */
  open(path: string): NativeLibrary;
}
