/**
 * The CPU backend: WebAssembly SIMD kernels on worker threads over one shared memory, with machine code at
 * their core where the processor and the process allow it.
 */

import { BackendUnavailableError, InvalidArgumentError } from '@flash-mla/core';
import {
  type CpuWorkers,
  findCpuWorkers,
  findNative,
  hardwareThreads,
  missingModuleRemedy,
  processorName,
} from '#platform';
import type { Backend, DeviceInfo } from '../device/backend.ts';
import { loadAll } from '../device/kernel-library.ts';
import type { OpenOptions, ProbedDevice } from '../device/registry.ts';
import { shortageRemedy } from '../device/shortages.ts';
import { commandNames } from './commands/command-names.ts';
import { CpuBackend } from './cpu-backend.ts';
import { type HostKernels, instantiate } from './kernels.ts';
import { FarMemory } from './memory/far-memory.ts';
import { compileKernels, hasRelaxedSimd, requireSimd } from './modules.ts';
import type { NativeFinding } from './native/finding.ts';
import { withoutThread } from './native/functions.ts';
import type { ExecutorEvents } from './pool/executor.ts';
import { PrivateExecutor } from './pool/private-executor.ts';
import type { WorkerStart } from './pool/protocol.ts';
import { SharedExecutor } from './pool/shared-executor.ts';
import { WorkerGroup } from './pool/worker-group.ts';

/** Options of {@link open} beyond those of every backend; for tests and benchmarks. */
export interface CpuOptions extends OpenOptions {
  /** Bytes of weights that lie in WebAssembly's memory before others lie beside it. */
  readonly nearWeightBytes?: number | undefined;
  /** False: as where SharedArrayBuffer is absent, one thread with a memory of its own. */
  readonly sharedMemory?: boolean | undefined;
  /** False: as where the engine lacks relaxed SIMD. */
  readonly relaxedSimd?: boolean | undefined;
  /** False: as where no machine code can be run. A finding: as where that is found. */
  readonly native?: boolean | NativeFinding | undefined;
}

const maxThreads = 64;

/** 4 GiB less a page, then what engines with a smaller address space may still give. */
const memoryPages = [65535, 32768, 16384, 8192];

export async function probe(): Promise<readonly ProbedDevice[]> {
  requireSimd();
  const details = {
    threads: hasSharedMemory() ? hardwareThreads() : 1,
    sharedMemory: hasSharedMemory(),
    relaxedSimd: hasRelaxedSimd(),
    ...kernelDetails(await findKernels(hasSharedMemory())),
  };
  return [{ name: processorName(), details }];
}

export async function open(index: number, options: CpuOptions): Promise<Backend> {
  if (index !== 0) throw new InvalidArgumentError('device', "'cpu'", `'cpu:${index}'`);
  const shared = options.sharedMemory ?? hasSharedMemory();
  const threads = checkThreads(options.threads ?? Math.min(maxThreads, hardwareThreads()));
  requireSimd();
  const relaxed = options.relaxedSimd !== false && hasRelaxedSimd();
  const workers = shared ? threads : 1;
  const { memory, pages } = createMemory(shared);
  // Threads take longest to start: compile and look for machine code meanwhile.
  const compiling = compileKernels(relaxed, shared);
  let finding: Promise<NativeFinding> | undefined;
  const group = await startWorkers(workers, async (i) => {
    finding ??= findKernels(shared && (options.native ?? true));
    const [{ module }, { start: native }] = await Promise.all([compiling, finding]);
    return {
      module,
      ...(shared ? { memory } : {}),
      maximumPages: pages,
      index: i,
      workers,
      native,
    };
  });
  const found = (await finding) ?? withoutCode;
  const host = instantiate<HostKernels>((await compiling).module, memory, {
    index: 0,
    workers,
    native: found.start && withoutThread(found.start),
  });
  const kernels = await loadAll(options.kernels.map(({ cpu }) => cpu));
  let backend: CpuBackend | undefined;
  const events: ExecutorEvents = {
    onRetired: () => backend?.collect(),
  };
  const names = commandNames((await compiling).module);
  const executor = shared
    ? new SharedExecutor(memory, group, workers, names, events)
    : new PrivateExecutor(group, pages, names, events);
  const info: DeviceInfo = {
    backend: 'cpu',
    id: 'cpu',
    name: processorName(),
    parallelism: workers,
    memoryBytes: pages * 65536,
    details: {
      threads: workers,
      sharedMemory: shared,
      relaxedSimd: relaxed,
      ...kernelDetails(found),
      fusedMultiplyAdd: isFused(host),
    },
  };
  const far = found.pages && new FarMemory(found.pages, memory, executor);
  const { nearWeightBytes } = options;
  const weights = { far, nearWeightBytes };
  backend = new CpuBackend(info, executor, host, kernels, options.debug ?? false, weights);
  return backend;
}

const withoutCode: NativeFinding = {
  kind: 'wasm',
  bf16Products: false,
  passedOver: [],
  start: undefined,
  pages: undefined,
};

/** Machine code reaches shared memory only: a private one belongs to its thread. */
async function findKernels(wanted: boolean | NativeFinding): Promise<NativeFinding> {
  if (typeof wanted === 'object') return wanted;
  if (!wanted) return withoutCode;
  return findNative();
}

/** The kernels in use, and each better kind with what stands in its way. */
function kernelDetails({ kind, bf16Products, passedOver }: NativeFinding): DeviceInfo['details'] {
  const reasons = passedOver.map((better) => [`not ${better.kind}`, better.reason]);
  return { kernels: kind, ...(bf16Products && { bf16Products }), ...Object.fromEntries(reasons) };
}

function hasSharedMemory(): boolean {
  if (typeof SharedArrayBuffer !== 'function') return false;
  // Browsers have the constructor everywhere but share only between isolated documents.
  return globalThis.crossOriginIsolated !== false || globalThis.process !== undefined;
}

function checkThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= maxThreads) return threads;
  throw new InvalidArgumentError('threads', `an integer from 1 to ${maxThreads}`, `${threads}`);
}

/** The device's memory, or where workers own theirs, one that only serves to call host functions. */
function createMemory(shared: boolean): { memory: WebAssembly.Memory; pages: number } {
  let cause: unknown;
  for (const pages of memoryPages) {
    try {
      return { memory: new WebAssembly.Memory({ initial: 1, maximum: pages, shared }), pages };
    } catch (error) {
      cause = error;
    }
  }
  throw new BackendUnavailableError(
    'cpu',
    'no WebAssembly memory can be reserved',
    memoryPages.map((pages) => `${pages / 16} MiB of address space`),
    'Dispose of other devices, or raise the address-space limit of the process (ulimit -v).',
    cause,
  );
}

async function startWorkers(
  count: number,
  startOf: (index: number) => Promise<WorkerStart>,
): Promise<WorkerGroup> {
  let workers: CpuWorkers | undefined;
  try {
    workers = await findCpuWorkers();
    return await WorkerGroup.start(count, workers.start, startOf);
  } catch (cause) {
    if (cause instanceof BackendUnavailableError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new BackendUnavailableError(
      'cpu',
      'its worker threads do not start',
      [workers ? `${workers.source}: ${message}` : message],
      shortageRemedy(cause) ?? workers?.remedy ?? missingModuleRemedy,
      cause,
    );
  }
}

/** 1 + 2^-12 squared, less 1 + 2^-11, is 2^-24 if nothing is rounded in between, else 0. */
function isFused(kernels: HostKernels): boolean {
  const a = 1 + 2 ** -12;
  return kernels.multiplyAdd(a, a, -(1 + 2 ** -11)) !== 0;
}
