/** Running kernels in the process of a test, in front of memory that may not be touched. */

import { detectFeatures, type Feature, type Kernel, type Program } from '@flash-mla/machine-code';
import { findKoffi } from '../find-koffi.ts';
import { processorFeatures } from '../processor.ts';
import { requireKoffi } from '../require-koffi.ts';
import type { NativeProblem } from '../self-test/problem.ts';
import { nativeSystem } from '../system.ts';

const koffi = requireKoffi(findKoffi());
const system =
  process.arch === 'x64' && process.platform === 'linux'
    ? nativeSystem(koffi, process.platform)
    : undefined;
const processor = system && processorFeatures(koffi, system, detectFeatures.assemble(system.abi));
// Linux gives a process the tile registers when it asks for them.
const hasTiles = processor?.has('amx_tile') === true && system?.requestTiles() === undefined;
const features = new Set([...(processor ?? [])].filter((f) => hasTiles || !f.startsWith('amx')));
const pageBytes = 4096;

/** The convention of this process. */
export const abi = system?.abi ?? 'system-v';

/** Where an array's content lies while the array is referenced. */
export const addressOf = (array: ArrayBufferView): bigint => BigInt(koffi.address(array));

/** Whether kernels with these features run here. */
export const runs = (needed: readonly Feature[]): boolean =>
  needed.every((feature) => features.has(feature));

/** Puts a kernel where it can be run, for the life of the process. */
export function place(kernel: Pick<Kernel, 'assemble'>): bigint {
  if (system === undefined) throw new Error('this process runs no machine code');
  return system.place(kernel.assemble(system.abi).bytes);
}

/**
 * Runs a kernel on a copy of a problem that ends where memory ends: what reads or writes past it faults.
 * Returns the memory afterwards.
 */
export function runBeforeGuard(program: Program, problem: NativeProblem): Uint8Array {
  if (system === undefined) throw new Error('this process runs no machine code');
  const libc = koffi.load(null);
  const mmap = libc.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const mprotect = libc.func('mprotect', 'int', ['void *', 'size_t', 'int']);
  const munmap = libc.func('munmap', 'int', ['void *', 'size_t']);
  const bytes = problem.memory;
  const size = Math.ceil(bytes.length / pageBytes) * pageBytes;
  const start = mmap(null, size + pageBytes, 3, 0x22, -1, 0) as bigint;
  if (mprotect(start + BigInt(size), pageBytes, 0) !== 0) throw new Error('mprotect failed');
  const address = start + BigInt(size - bytes.length);
  const memory = new Uint8Array(koffi.view(address, bytes.length));
  memory.set(bytes);
  const call = koffi.decode(
    system.place(program.bytes),
    koffi.proto('void', ['int64_t', 'int64_t']),
  );
  call(Number(address) + problem.job, Number(address));
  const result = memory.slice();
  munmap(start, size + pageBytes);
  return result;
}
