import { requireKoffi } from './require-koffi.ts';

/** What a thread needs to call the machine code of its process. */
export interface NativeStart {
  /** The file of koffi. */
  readonly koffi: string;
  /** Where the kernel of kernels/attend/attend.ts lies. */
  readonly attend: bigint;
}

/**
 * The `attendNative` that the WebAssembly kernels import: runs the job at an address of the memory, whose
 * place in the process stays the same when it grows.
 */
export function callAttend(
  { koffi: path, attend }: NativeStart,
  memory: WebAssembly.Memory,
): (job: number) => void {
  const koffi = requireKoffi(path);
  const call = koffi.decode(attend, koffi.proto('void', ['int64_t', 'int64_t']));
  const base = Number(koffi.address(new Uint8Array(memory.buffer)));
  return (job) => {
    call(base + (job >>> 0), base);
  };
}
