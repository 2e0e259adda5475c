/** The calls of the operating system that machine code needs, on Linux, macOS and Windows. */

import type { AbiName } from '@flash-mla/machine-code';
import type { Koffi, NativeCall } from './require-koffi.ts';

export interface NativeSystem {
  readonly abi: AbiName;
  /**
   * Puts code where it can be executed, and never written again: pages are writable first and executable
   * afterwards. They stay for the life of the process.
   * @throws NativeRefusal where the operating system forbids it.
   */
  place(code: Uint8Array): bigint;
  /** Pages of zeros that can be read and written. Undefined where the system has not so much to give. */
  map(byteLength: number): bigint | undefined;
  unmap(address: bigint, byteLength: number): void;
  /** Asks for the tile registers, for all threads of the process. Undefined: granted; else why not. */
  requestTiles(): string | undefined;
}

/** The operating system said no. */
export class NativeRefusal extends Error {}

/** Pages of executable memory are multiples of this on every system. */
const pageBytes = 65536;

/** Large pages where Linux has them, and its name for asking: MADV_HUGEPAGE. */
const largePageBytes = 2 ** 21;
const largePages = 14;

const roundUp = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;

/** Undefined where it is not known how to ask. */
export function nativeSystem(koffi: Koffi, platform: string): NativeSystem | undefined {
  if (platform === 'linux' || platform === 'darwin') return posix(koffi, platform);
  return platform === 'win32' ? windows(koffi) : undefined;
}

function posix(koffi: Koffi, platform: 'linux' | 'darwin'): NativeSystem {
  const libc = koffi.load(null);
  const mmap = libc.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const mprotect = libc.func('mprotect', 'int', ['void *', 'size_t', 'int']);
  const munmap = libc.func('munmap', 'int', ['void *', 'size_t']);
  const [readWrite, readExecute] = [3, 5];
  const privateAnonymous = platform === 'linux' ? 0x22 : 0x1002;
  const failed = 0xffffffffffffffffn;
  const madvise = libc.func('madvise', 'int', ['void *', 'size_t', 'int']);
  return {
    abi: 'system-v',
    map(byteLength) {
      // Linux promises memory that it has not; whoever then writes to it ends.
      if (byteLength > process.getBuiltinModule('node:os').freemem()) return undefined;
      const size = roundUp(byteLength, largePageBytes);
      const address = mmap(null, size, readWrite, privateAnonymous, -1, 0) as bigint | null;
      if (address === null || address === failed) return undefined;
      // Advice only: without large pages everything works, with more misses of the translation buffer.
      if (platform === 'linux') madvise(address, size, largePages);
      return address;
    },
    unmap(address, byteLength) {
      munmap(address, roundUp(byteLength, largePageBytes));
    },
    place(code) {
      const size = Math.ceil(code.length / pageBytes) * pageBytes;
      const address = mmap(null, size, readWrite, privateAnonymous, -1, 0) as bigint | null;
      if (address === null || address === failed) {
        throw new NativeRefusal(`mmap of ${size} bytes: errno ${koffi.errno()}`);
      }
      new Uint8Array(koffi.view(address, code.length)).set(code);
      if (mprotect(address, size, readExecute) !== 0) {
        const reason = `mprotect to executable: errno ${koffi.errno()}`;
        munmap(address, size);
        throw new NativeRefusal(reason);
      }
      return address;
    },
    requestTiles() {
      if (platform !== 'linux') return 'no way to ask for the tile registers is known here';
      const syscall = libc.func('syscall', 'long', ['long', 'long', 'long', 'long']);
      return granted(syscall) ? undefined : `the kernel refused: errno ${koffi.errno()}`;
    },
  };
}

/** arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA). */
const granted = (syscall: NativeCall): boolean => Number(syscall(158, 0x1023, 18, 0)) === 0;

/** From Microsoft's documentation; not measured. */
function windows(koffi: Koffi): NativeSystem {
  const kernel32 = koffi.load('kernel32.dll');
  const alloc = kernel32.func('VirtualAlloc', 'void *', ['void *', 'size_t', 'uint32', 'uint32']);
  const protect = kernel32.func('VirtualProtect', 'int', ['void *', 'size_t', 'uint32', 'void *']);
  const free = kernel32.func('VirtualFree', 'int', ['void *', 'size_t', 'uint32']);
  const flush = kernel32.func('FlushInstructionCache', 'int', ['intptr_t', 'void *', 'size_t']);
  const [commitAndReserve, release] = [0x3000, 0x8000];
  const [readWrite, executeRead] = [0x04, 0x20];
  const thisProcess = -1;
  return {
    abi: 'windows',
    map(byteLength) {
      const address = alloc(null, byteLength, commitAndReserve, readWrite) as bigint | null;
      return address ?? undefined;
    },
    unmap(address) {
      free(address, 0, release);
    },
    place(code) {
      const size = Math.ceil(code.length / pageBytes) * pageBytes;
      const address = alloc(null, size, commitAndReserve, readWrite) as bigint | null;
      if (address === null) throw new NativeRefusal(`VirtualAlloc of ${size} bytes`);
      new Uint8Array(koffi.view(address, code.length)).set(code);
      const before = new Uint32Array(1);
      if (protect(address, size, executeRead, BigInt(koffi.address(before))) === 0) {
        free(address, 0, release);
        throw new NativeRefusal('VirtualProtect to executable');
      }
      flush(thisProcess, address, size);
      return address;
    },
    requestTiles() {
      const enable = kernel32.func('EnableProcessOptionalXStateFeatures', 'int', ['uint64']);
      return enable(1 << 18) !== 0 ? undefined : 'Windows refused';
    },
  };
}
