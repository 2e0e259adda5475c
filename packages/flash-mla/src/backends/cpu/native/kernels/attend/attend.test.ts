import { describe, expect, it } from 'vitest';
import { findKoffi } from '../../find-koffi.ts';
import { processorFeatures } from '../../processor.ts';
import { requireKoffi } from '../../require-koffi.ts';
import { type AttendShape, attendProblem } from '../../self-test/attend-problem.ts';
import { nativeSystem } from '../../system.ts';
import { vectorFeatures } from '../vectors.ts';
import { attendKernels } from './attend.ts';

const koffi = requireKoffi(findKoffi());
const system = process.arch === 'x64' ? nativeSystem(koffi, process.platform) : undefined;
const features = system && processorFeatures(koffi, system);
const pageBytes = 4096;

const base: AttendShape = {
  rows: 16,
  tokens: 64,
  headDimQk: 576,
  headDimV: 512,
  masked: false,
  continued: false,
};
const shapes: AttendShape[] = [
  base,
  { ...base, rows: 128, masked: true, continued: true },
  { ...base, rows: 5, tokens: 1, continued: true },
  { ...base, rows: 23, tokens: 37, continued: true },
  { ...base, rows: 45, tokens: 63, masked: true },
  { ...base, rows: 33, tokens: 5, headDimQk: 41, headDimV: 23, continued: true },
  { ...base, rows: 61, tokens: 19, headDimQk: 128, headDimV: 128, masked: true },
  { ...base, rows: 7, tokens: 2, headDimQk: 3, headDimV: 1 },
];

describe.each(['avx512', 'avx2'] as const)('attending to a block with %s', (kind) => {
  const missing = features && vectorFeatures[kind].some((feature) => !features.has(feature));
  const absent = system === undefined || missing === true;

  it.skipIf(absent).each(shapes)('$rows rows, $tokens tokens, $headDimQk/$headDimV', (shape) => {
    if (system === undefined) return;
    const call = koffi.decode(
      system.place(attendKernels[kind].assemble(system.abi).bytes),
      koffi.proto('void', ['int64_t', 'int64_t']),
    );
    const problem = attendProblem(kind, shape);
    const guarded = beforeGuard(problem.memory);
    call(guarded.address, guarded.address);
    expect(problem.errorOf(guarded.bytes)).toBeLessThan(1e-5);
  });
});

/** A copy that ends where memory ends: what reads or writes past it faults. */
function beforeGuard(bytes: Uint8Array): { address: number; bytes: Uint8Array } {
  const libc = koffi.load(null);
  const mmap = libc.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64_t']);
  const mprotect = libc.func('mprotect', 'int', ['void *', 'size_t', 'int']);
  const size = Math.ceil(bytes.length / pageBytes) * pageBytes;
  const start = mmap(null, size + pageBytes, 3, 0x22, -1, 0) as bigint;
  expect(mprotect(start + BigInt(size), pageBytes, 0)).toBe(0);
  const address = start + BigInt(size - bytes.length);
  const copy = new Uint8Array(koffi.view(address, bytes.length));
  copy.set(bytes);
  return { address: Number(address), bytes: copy };
}
