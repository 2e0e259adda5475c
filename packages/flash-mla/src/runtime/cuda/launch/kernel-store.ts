import { KernelCompileError } from '@flash-mla/core';
import { emitPtx, type Kernel, PtxError } from '@flash-mla/ptx';
import type { SharedContext } from '../device/shared-context.ts';
import type { KernelSource, LoadedKernel } from '../driver/driver.ts';
import type { KernelSpec } from '../kernel.ts';
import type { DeviceLimits } from '../limits.ts';

const built = new WeakMap<object, Map<string, Kernel>>();

/** The kernel of a configuration, built once per process. */
export function buildKernel<Config extends object>(
  spec: KernelSpec<Config>,
  config: Config,
): Kernel {
  let kernels = built.get(spec);
  if (kernels === undefined) {
    kernels = new Map();
    built.set(spec, kernels);
  }
  const key = JSON.stringify(config);
  let kernel = kernels.get(key);
  if (kernel === undefined) {
    kernel = spec.build(config);
    kernels.set(key, kernel);
  }
  return kernel;
}

/**
 * The PTX target of a kernel on a device.
 * @throws {KernelCompileError} for an architecture-specific kernel on another architecture.
 */
export function targetOf(
  spec: Pick<KernelSpec<object>, 'name' | 'architectureSpecific'>,
  limits: DeviceLimits,
): string {
  if (!spec.architectureSpecific) return limits.target;
  if (limits.specificTarget !== undefined) return limits.specificTarget;
  throw new KernelCompileError(
    spec.name,
    `it is written for one architecture, and sm_${limits.sm} has no specific target here.`,
  );
}

/** A kernel ready to be launched. */
export interface StoredKernel {
  readonly source: KernelSource;
  readonly loaded: LoadedKernel;
}

/** The kernels loaded in a device's context, each once. */
export class KernelStore {
  readonly #shared: SharedContext;
  readonly #limits: DeviceLimits;
  readonly #kernels = new Map<string, StoredKernel>();

  constructor(shared: SharedContext, limits: DeviceLimits) {
    this.#shared = shared;
    this.#limits = limits;
  }

  /**
   * `build`: what decides the code of the spec, if that is known.
   * @throws {KernelCompileError}
   */
  get<Config extends object>(
    spec: KernelSpec<Config>,
    config: Config,
    build?: string,
  ): StoredKernel {
    const key = `${spec.name} ${JSON.stringify(config)}`;
    const known = this.#kernels.get(key);
    if (known !== undefined) return known;
    const target = targetOf(spec, this.#limits);
    try {
      const kernel = buildKernel(spec, config);
      const ptx = () => emitPtx(kernel, target, { locations: false });
      const identity = build === undefined ? undefined : `${build} ${key}`;
      const source = { name: spec.name, kernel, target, ptx, identity };
      const stored = { source, loaded: this.#shared.context.loadKernel(source) };
      this.#kernels.set(key, stored);
      return stored;
    } catch (error) {
      if (!(error instanceof PtxError)) throw error;
      throw new KernelCompileError(
        spec.name,
        error.message,
        `Configuration: ${JSON.stringify(config)}.`,
      );
    }
  }

  /** Unloads everything; no work may be under way. */
  destroy(): void {
    for (const { loaded } of this.#kernels.values()) this.#shared.context.unloadKernel(loaded);
    this.#kernels.clear();
  }
}
