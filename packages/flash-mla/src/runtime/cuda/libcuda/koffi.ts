import type { NativeLibrary, NativeLoader, NativeType } from './native.ts';

const names: Record<NativeType, string> = { i32: 'int', u32: 'uint32_t', u64: 'uint64_t' };

/** Native code through koffi, an optional dependency. Rejects where it is not installed. */
export async function loadKoffi(): Promise<NativeLoader> {
  const koffi = await import('koffi');
  return {
    open(path): NativeLibrary {
      const library = koffi.load(path);
      const declare = (symbol: string, parameters: readonly NativeType[]) => {
        try {
          return library.func(
            symbol,
            'int',
            parameters.map((type) => names[type]),
          );
        } catch {
          return undefined;
        }
      };
      return {
        path,
        bind: declare,
        bindTask(symbol, parameters) {
          const call = declare(symbol, parameters)?.async;
          if (call === undefined) return undefined;
          return (...args) =>
            new Promise((resolve, reject) => {
              call(...args, (error: unknown, result: number) => {
                if (error) reject(error);
                else resolve(result);
              });
            });
        },
        addressOf: (bytes) => Number(koffi.address(bytes)),
        view: (address, bytes) => new Uint8Array(koffi.view(BigInt(address), bytes)),
        text: (address) => koffi.decode.string(BigInt(address)),
      };
    },
  };
}
