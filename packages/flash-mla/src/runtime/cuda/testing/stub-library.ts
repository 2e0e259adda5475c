import type { NativeFunction, NativeLibrary, NativeLoader, NativeTask } from '../libcuda/native.ts';

/** What a scripted driver function gets: its arguments, and memory by address. */
export type StubCall = (library: StubLibrary, ...args: number[]) => number;

/**
 * A libcuda in JavaScript for the code above the native seam. Functions succeed without effect unless
 * scripted; addresses are those of registered ArrayBuffers.
 */
export class StubLibrary implements NativeLibrary {
  readonly path: string;
  /** Every call: symbol and arguments. */
  readonly calls: { symbol: string; args: number[] }[] = [];
  readonly scripts = new Map<string, StubCall>();
  readonly absent = new Set<string>();
  readonly #buffers = new Map<ArrayBufferLike, number>();
  #next = 0x5500_0000_0000;

  constructor(path = 'libcuda.so.1') {
    this.path = path;
    this.script('cuDriverGetVersion', (library, out) => library.i32(out, 13_000));
    this.script('cuDeviceGetCount', (library, out) => library.i32(out, 1));
    this.script('cuGetErrorName', (library, code, out) =>
      library.u64(out, library.place(`CUDA_ERROR_${code}\0`)),
    );
    this.script('cuGetErrorString', (library, _, out) => library.u64(out, library.place('why\0')));
    this.script('cuDeviceGetName', (library, out) => {
      library.bytesAt(out).set(new TextEncoder().encode('Stub GPU\0'));
      return 0;
    });
    this.script('cuDeviceTotalMem_v2', (library, out) => library.u64(out, 80 * 2 ** 30));
    const attributes = new Map([
      [75, 9],
      [76, 0],
      [16, 132],
      [97, 232_448],
    ]);
    this.script('cuDeviceGetAttribute', (library, out, id) =>
      library.i32(out, attributes.get(id ?? 0) ?? 1),
    );
    for (const symbol of ['cuDevicePrimaryCtxRetain', 'cuStreamCreate', 'cuEventCreate']) {
      this.script(symbol, (library, out) => library.u64(out, 0x7777_0000 + library.calls.length));
    }
    this.script('cuModuleLoadData', (library, out) => library.u64(out, 0xabc0));
    this.script('cuModuleLoadDataEx', (library, out) => library.u64(out, 0xabc0));
    this.script('cuModuleGetFunction', (library, out) => library.u64(out, 0xf00));
    this.script('cuFuncGetAttribute', (library, out, id) => library.i32(out, id === 4 ? 96 : 0));
    this.script('cuLinkCreate_v2', (library, _count, _ids, _values, out) =>
      library.u64(out, 0x1199),
    );
    this.script('cuLinkComplete', (library, _link, image, size) => {
      library.u64(image, library.place('cubin'));
      return library.u64(size, 5);
    });
  }

  script(symbol: string, call: (library: StubLibrary, ...args: never[]) => number): void {
    this.scripts.set(symbol, call as unknown as StubCall);
  }

  /** The calls of one symbol. */
  callsOf(symbol: string): number[][] {
    return this.calls.filter((call) => call.symbol === symbol).map(({ args }) => args);
  }

  bind(symbol: string): NativeFunction | undefined {
    if (this.absent.has(symbol)) return undefined;
    return (...args) => {
      this.calls.push({ symbol, args });
      return this.scripts.get(symbol)?.(this, ...args) ?? 0;
    };
  }

  bindTask(symbol: string): NativeTask | undefined {
    const call = this.bind(symbol);
    return call && (async (...args) => call(...args));
  }

  addressOf(bytes: Uint8Array): number {
    let base = this.#buffers.get(bytes.buffer);
    if (base === undefined) {
      base = this.#next;
      this.#next += Math.ceil((bytes.buffer.byteLength + 1) / 4096) * 4096;
      this.#buffers.set(bytes.buffer, base);
    }
    return base + bytes.byteOffset;
  }

  /** Everything from an address to the end of its ArrayBuffer. */
  bytesAt(address: number): Uint8Array<ArrayBuffer> {
    for (const [buffer, base] of this.#buffers) {
      if (!(buffer instanceof ArrayBuffer)) continue;
      const offset = address - base;
      if (offset >= 0 && offset <= buffer.byteLength) return new Uint8Array(buffer, offset);
    }
    throw new Error(`stub: no memory at ${address.toString(16)}`);
  }

  viewAt(address: number): DataView {
    const { buffer, byteOffset } = this.bytesAt(address);
    return new DataView(buffer, byteOffset);
  }

  view(address: number, bytes: number): Uint8Array<ArrayBuffer> {
    return this.bytesAt(address).subarray(0, bytes);
  }

  text(address: number): string {
    const bytes = this.bytesAt(address);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  /** Puts text into memory of the library. */
  place(text: string): number {
    const encoded = new TextEncoder().encode(text);
    const bytes = new Uint8Array(new ArrayBuffer(encoded.length));
    bytes.set(encoded);
    return this.addressOf(bytes);
  }

  i32(address: number, value: number): number {
    this.viewAt(address).setInt32(0, value, true);
    return 0;
  }

  u64(address: number, value: number): number {
    this.viewAt(address).setBigUint64(0, BigInt(value), true);
    return 0;
  }
}

/** A loader that finds the given libraries and nothing else. */
export function stubLoader(...libraries: StubLibrary[]): () => Promise<NativeLoader> {
  return async () => ({
    open(path) {
      const library = libraries.find((candidate) => candidate.path === path);
      if (library === undefined) throw new Error('cannot open shared object file');
      return library;
    },
  });
}
