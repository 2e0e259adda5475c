/** What is used of koffi, an optional dependency: native functions without an addon of our own. */
export interface Koffi {
  load(path: string | null): {
    func(name: string, result: string, parameters: readonly string[]): NativeCall;
  };
  proto(result: string, parameters: readonly string[]): unknown;
  decode(address: bigint, prototype: unknown): NativeCall;
  view(address: bigint, byteLength: number): ArrayBuffer;
  address(bytes: ArrayBufferView): bigint | number;
  errno(): number;
}

export type NativeCall = (...args: (number | bigint | null)[]) => unknown;

/** Loads koffi from its file, also where a script has no place of its own to look from. */
export function requireKoffi(path: string): Koffi {
  const { createRequire } = process.getBuiltinModule('node:module');
  const koffi = createRequire(path)(path) as Koffi;
  // A thread gets its stack for calls when it loads its first library; a call before that faults.
  koffi.load(process.platform === 'win32' ? 'kernel32.dll' : null);
  return koffi;
}
