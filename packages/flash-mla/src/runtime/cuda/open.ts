import { BackendUnavailableError } from '@flash-mla/core';
import type { Backend, DeviceInfo } from '../device/backend.ts';
import type { ProbedDevice } from '../device/registry.ts';
import { CudaBackend } from './backend.ts';
import { type SharedContext, shareContext } from './device/shared-context.ts';
import type { CudaDriver, DeviceFacts } from './driver/driver.ts';
import { CudaDriverError } from './driver/driver-error.ts';
import { isFault } from './driver/results.ts';
import { versionText } from './driver/version.ts';
import type { KernelFamily } from './kernel.ts';
import { KernelStore } from './launch/kernel-store.ts';
import { loadKernels } from './launch/load-kernels.ts';
import { limitsOf } from './limits.ts';

/** The oldest architecture that any kernel is written for: bf16 on tensor cores, cp.async. */
const leastSm = 80;

const stores = new WeakMap<SharedContext, KernelStore>();

/** What {@link openCuda} may be told. */
export interface OpenOptions {
  readonly debug: boolean;
  readonly exactMemory: boolean;
  readonly families: readonly KernelFamily[];
}

/** Lists a driver's devices. Throws {@link BackendUnavailableError} when it has none. */
export function probeCuda(driver: CudaDriver): ProbedDevice[] {
  const count = driver.deviceCount();
  if (count === 0) throw noDevice(driver);
  return Array.from({ length: count }, (_, ordinal) => {
    const facts = driver.deviceFacts(ordinal);
    return { name: facts.name, details: describe(driver, facts) };
  });
}

/**
 * Opens a device of a driver.
 * @throws {BackendUnavailableError} where there is no such device or no kernel for it, and where a
 * kernel has faulted in this process and the driver therefore refuses: `remedy` asks for a new process.
 */
export async function openCuda(
  driver: CudaDriver,
  ordinal: number,
  options: OpenOptions,
): Promise<Backend> {
  const count = driver.deviceCount();
  if (count === 0) throw noDevice(driver);
  if (ordinal >= count) {
    throw new BackendUnavailableError(
      driver.kind,
      `there is no device ${ordinal}`,
      [`${driver.origin}: devices 0 to ${count - 1}`],
      'Run `flash-mla doctor` for the list; CUDA_VISIBLE_DEVICES hides devices.',
    );
  }
  const facts = driver.deviceFacts(ordinal);
  // The driver makes the context while the kernels' modules are read.
  const warm = facts.sm < leastSm ? undefined : driver.warmUp?.(ordinal);
  warm?.catch(() => {});
  const kernels = facts.sm < leastSm ? [] : await loadKernels(facts.sm, options.families);
  if (kernels.length === 0) {
    throw new BackendUnavailableError(
      driver.kind,
      `no kernel runs on ${facts.name} (compute capability ${capabilityText(facts.sm)})`,
      [`${driver.origin}: device ${ordinal}`],
      'Compute capability 8.0 (Ampere) or newer is needed; use another device or backend.',
    );
  }
  const shared = await contextOf(driver, ordinal, warm);
  const limits = limitsOf(facts);
  let store = stores.get(shared);
  if (store === undefined) {
    store = new KernelStore(shared, limits);
    stores.set(shared, store);
  }
  const info: DeviceInfo = {
    backend: driver.kind,
    id: shared.id,
    name: facts.name,
    parallelism: facts.smCount,
    memoryBytes: facts.memoryBytes,
    details: describe(driver, facts),
  };
  const { debug, exactMemory } = options;
  return new CudaBackend({ info, shared, limits, store, kernels, debug, exactMemory });
}

async function contextOf(
  driver: CudaDriver,
  ordinal: number,
  warm: Promise<() => void> | undefined,
): Promise<SharedContext> {
  try {
    const release = await warm;
    const shared = shareContext(driver, ordinal);
    release?.();
    return shared;
  } catch (error) {
    if (!(error instanceof CudaDriverError)) throw error;
    const { call, code, errorName } = error;
    const fault = isFault(code);
    throw new BackendUnavailableError(
      driver.kind,
      fault
        ? `a kernel has faulted in this process, and ${call} fails since: ${errorName} (${code})`
        : error.message.replace(/\.$/, ''),
      [`${driver.origin}: device ${ordinal}`],
      fault ? 'Start a new process: CUDA may refuse one in which a kernel has faulted.' : '',
      error,
    );
  }
}

/** What `doctor` shows of a device, in display order. */
function describe(driver: CudaDriver, facts: DeviceFacts): ProbedDevice['details'] {
  return {
    driver: driver.origin,
    'CUDA version': versionText(driver.version),
    'compute capability': capabilityText(facts.sm),
    multiprocessors: facts.smCount,
    'memory (MiB)': Math.floor(facts.memoryBytes / 2 ** 20),
    'shared memory per block (KiB)': facts.maxSharedPerBlock / 1024,
    'shared memory per multiprocessor (KiB)': facts.maxSharedPerSm / 1024,
    'L2 cache (MiB)': facts.l2Bytes / 2 ** 20,
    ...(driver.kernelCache !== undefined && { 'kernel cache': driver.kernelCache }),
    ...(facts.sm < leastSm && { supported: 'no: compute capability 8.0 or newer is needed' }),
  };
}

function capabilityText(sm: number): string {
  return `${Math.floor(sm / 10)}.${sm % 10}`;
}

function noDevice(driver: CudaDriver): BackendUnavailableError {
  return new BackendUnavailableError(
    driver.kind,
    'the driver sees no GPU',
    [`${driver.origin}: no device`],
    'See `nvidia-smi`, and CUDA_VISIBLE_DEVICES.',
  );
}
