import type { Backend, DeviceCeilings } from '../device/backend.ts';
import { asCpuBuffer } from './commands/address.ts';
import { type Command, commandOf } from './commands/command.ts';
import { copyBytes, probeFma, probeRead } from './commands/descriptors.ts';
import type { HostKernels } from './kernels.ts';
import type { CpuBuffer } from './memory/heap.ts';

type Enqueue = (command: Command, uses: readonly CpuBuffer[]) => void;

/** Long enough that handing a command over does not count, short enough to slip between neighbours. */
const probeCalls = 40;
const probeIterations = 20_000;
/** Beyond the caches of most machines, within the memory of all. */
const readBytes = 256 * 2 ** 20;
const repeats = 12;

/** One line of scratch for each thread's result. */
const workspaceBytes = 64 * 64;

/**
 * Runs {@link DeviceCeilings}' probes on all threads of a device: the best of several runs, since a
 * ceiling is what the machine can do when nothing disturbs it.
 */
export async function measureCeilings(
  backend: Backend,
  kernels: HostKernels,
  enqueue: Enqueue,
): Promise<DeviceCeilings> {
  const threads = backend.info.parallelism;
  const fused = backend.info.details.relaxedSimd === true;
  const fmas = probeCalls * probeIterations * kernels.probeFmasPerIteration();
  const fmaSeconds = await best(backend, () => enqueueFmaProbe(enqueue));
  const buffer = asCpuBuffer(backend.allocate(readBytes));
  try {
    const half = readBytes / 2;
    const copy = (target: number, source: number) =>
      enqueue(commandOf(copyBytes, { target, source, bytes: half }), [buffer]);
    // Pages that were never written all read from the one zero page of the system.
    copy(buffer.address, buffer.address + half);
    copy(buffer.address + half, buffer.address);
    const all = { address: buffer.address, bytes: readBytes };
    const readSeconds = await best(backend, () =>
      enqueue(commandOf(probeRead, all, { workspaceBytes }), [buffer]),
    );
    const copySeconds = await best(backend, () => copy(buffer.address, buffer.address + half));
    return {
      // Four lanes, a multiplication and an addition each.
      flopsPerSecond: (fmas * 8 * threads) / fmaSeconds,
      flopsOf: `${fused ? 'f32x4.relaxed_madd' : 'f32x4.mul + f32x4.add'} on registers, ${threads} threads`,
      readBytesPerSecond: readBytes / readSeconds,
      copyBytesPerSecond: readBytes / copySeconds,
    };
  } finally {
    backend.release(buffer);
  }
}

/** Enqueues the register-only FMA loop on all threads. */
export function enqueueFmaProbe(enqueue: Enqueue): void {
  const loops = { calls: probeCalls, iterations: probeIterations };
  enqueue(commandOf(probeFma, loops, { workspaceBytes }), []);
}

async function best(backend: Backend, enqueue: () => void): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repeats; i++) {
    const started = performance.now();
    enqueue();
    await backend.synchronize();
    shortest = Math.min(shortest, performance.now() - started);
  }
  return shortest / 1e3;
}
