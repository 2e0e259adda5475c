/** The backends by name. Each is a dynamic import, so that an unused one costs nothing. */

import type { Backend } from './backend.ts';
import type { KernelLibrary } from './kernel-library.ts';

/** Options of {@link openDevice} that a backend may use. */
export interface BackendOptions {
  /** CPU: worker threads, 1 to 64. Default: the machine's cores. */
  readonly threads?: number | undefined;
  /** Check block tables, indices and lengths on the device before use. Default: `FLASH_MLA_DEBUG`. */
  readonly debug?: boolean | undefined;
  /**
   * WebGPU: `default` keeps to the specification's default limits and no optional feature, as the
   * weakest device has it; for testing. Default: all that the adapter has.
   */
  readonly webgpuProfile?: 'adapter' | 'default' | undefined;
  /** Kernels of further operations, preferred to this library's own. */
  readonly kernels?: readonly KernelLibrary[] | undefined;
}

/** What a backend is opened with. */
export interface OpenOptions extends Omit<BackendOptions, 'kernels'> {
  /** All libraries whose kernels it is to have, preferred ones first. */
  readonly kernels: readonly KernelLibrary[];
}

/** What a backend's module exports: a way to look without opening, and a way to open. */
export interface BackendModule {
  /**
   * Lists what could be opened. Throws {@link BackendUnavailableError} when nothing can, saying what
   * was looked for.
   */
  probe(): Promise<readonly ProbedDevice[]>;
  /**
   * Opens device `index` of those that {@link probe} lists. `isAutomatic`: the caller asked for
   * `'auto'`, so a backend that knows itself slower than those after it may decline.
   */
  open(index: number, options: OpenOptions, isAutomatic: boolean): Promise<Backend>;
}

/** A device that is there but not opened. */
export interface ProbedDevice {
  readonly name: string;
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

/** Adding a backend adds one line here. The order is the preference of `openDevice('auto')`. */
export const backendModules = {
  cuda: () => import('#cuda'),
  webgpu: () => import('../webgpu/index.ts'),
  cpu: () => import('../cpu/index.ts'),
  sim: () => import('../sim/index.ts'),
} satisfies Record<string, () => Promise<BackendModule>>;

export type BackendName = keyof typeof backendModules;
