import { requireKoffi } from './require-koffi.ts';

/** What a thread needs to call the machine code of its process. */
export interface NativeStart {
  /** The file of koffi. */
  readonly koffi: string;
  /** Where the kernel of kernels/attend/attend.ts lies. */
  readonly attend: bigint;
  /** That of kernels/dots/dots.ts. */
  readonly dots: bigint;
  /** That of kernels/scaled-dots/scaled-dots.ts. */
  readonly scaledDots: bigint;
  /** Those of kernels/pack/pack.ts, kernels/dequantize/dequantize.ts and kernels/norm/norm.ts. */
  readonly pack: bigint;
  readonly dequantize: bigint;
  readonly norm: bigint;
  /** That of kernels/copy/copy.ts. */
  readonly copy: bigint;
  /** That of kernels/unpack/unpack.ts. */
  readonly unpack?: bigint | undefined;
  /** A kernel for bf16 tokens in place, and how many it takes at once. */
  readonly rows?: { readonly address: bigint; readonly tokens: number } | undefined;
  /** That of kernels/products/products-amx.ts. */
  readonly products?: bigint | undefined;
}

/** The functions with machine code that the WebAssembly kernels import: each runs the job at an address. */
export interface NativeFunctions {
  attendNative(job: number): void;
  attendRowsNative(job: number): void;
  dotsNative(job: number): void;
  scaledDotsNative(job: number): void;
  packNative(job: number): void;
  dequantizeNative(job: number): void;
  normNative(job: number): void;
  copyNative(job: number): void;
  unpackNative(job: number): void;
  productsNative(job: number): void;
  /** Whether there are products of tiles. */
  readonly hasTiles: boolean;
  /** See assembly/attend/tile.ts, useNative. */
  readonly tokensInPlace: number;
}

/** Machine code for a thread's memory, whose place in the process stays the same when it grows. */
export function nativeFunctions(start: NativeStart, memory: WebAssembly.Memory): NativeFunctions {
  const { koffi: path, attend, dots, scaledDots, pack, dequantize, norm } = start;
  const { copy, unpack, rows, products } = start;
  const koffi = requireKoffi(path);
  const prototype = koffi.proto('void', ['int64_t', 'int64_t']);
  const base = Number(koffi.address(new Uint8Array(memory.buffer)));
  const jobs = (address: bigint) => {
    const call = koffi.decode(address, prototype);
    return (job: number): void => {
      call(base + (job >>> 0), base);
    };
  };
  return {
    attendNative: jobs(attend),
    attendRowsNative: rows ? jobs(rows.address) : withoutCode,
    dotsNative: jobs(dots),
    scaledDotsNative: jobs(scaledDots),
    packNative: jobs(pack),
    dequantizeNative: jobs(dequantize),
    normNative: jobs(norm),
    copyNative: jobs(copy),
    unpackNative: unpack === undefined ? withoutCode : jobs(unpack),
    productsNative: products === undefined ? withoutCode : jobs(products),
    hasTiles: products !== undefined,
    tokensInPlace: rows?.tokens ?? 0,
  };
}

/** For an instance of the kernels on which no command runs; it must agree with the others about sizes. */
export const withoutThread = ({ rows, products }: NativeStart): NativeFunctions => ({
  attendNative: withoutCode,
  attendRowsNative: withoutCode,
  dotsNative: withoutCode,
  scaledDotsNative: withoutCode,
  packNative: withoutCode,
  dequantizeNative: withoutCode,
  normNative: withoutCode,
  copyNative: withoutCode,
  unpackNative: withoutCode,
  productsNative: withoutCode,
  hasTiles: products !== undefined,
  tokensInPlace: rows?.tokens ?? 0,
});

export function withoutCode(): never {
  throw new Error('this instance of the kernels has no machine code');
}
