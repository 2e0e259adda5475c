import { KernelCompileError } from '@flash-mla/core';
import { cubinKey, identityKey } from '../cache/cubin-cache.ts';
import type { Handle, KernelSource, LoadedKernel } from '../driver/driver.ts';
import { cudaResults } from '../driver/results.ts';
import { compilePtx, jitOptions, loadPtx, needsWholeProgram } from './compile.ts';
import type { LibcudaDriver } from './driver.ts';
import { nativeText } from './scratch.ts';

/** CUfunction_attribute. */
const attributes = { localBytes: 3, registers: 4, maxDynamicShared: 8 } as const;
/** What a kernel may use without asking. */
const defaultShared = 48 * 1024;

/** Turns kernels into loaded functions: from the disk cache, or by the driver's compiler. */
export class KernelLoader {
  readonly #driver: LibcudaDriver;
  readonly #sm: number;
  readonly #modules = new Map<Handle, Handle>();

  constructor(driver: LibcudaDriver, sm: number) {
    this.#driver = driver;
    this.#sm = sm;
  }

  /** In the current context. Throws {@link KernelCompileError}. */
  load(source: KernelSource): LoadedKernel {
    const { cache, version, build } = this.#driver;
    if (needsWholeProgram(source)) {
      return this.#function(loadPtx(this.#driver, source, this.#textOf(source)), source, false);
    }
    const { identity } = source;
    const environment = `cuda ${version} ${build} sm_${this.#sm} ${source.target} ${jitOptions(source.target)}`;
    const key =
      identity === undefined
        ? cubinKey(source.ptx(), environment)
        : identityKey(identity, environment);

    const stored = cache.read(key);
    if (stored !== undefined) {
      const module = this.#tryModule(stored);
      if (typeof module === 'object') return this.#function(module.handle, source, true);
      // Whole, but not for this driver: a cache directory that travelled. Compile it anew.
      cache.remove(key);
    }
    const cubin = compilePtx(this.#driver, source, source.ptx());
    cache.write(key, cubin);
    const module = this.#tryModule(cubin);
    if (typeof module === 'number') throw this.#driver.error('cuModuleLoadData', module);
    return this.#function(module.handle, source, false);
  }

  /** The text of a kernel: the driver finds the code by it, and emitting takes longer than reading. */
  #textOf(source: KernelSource): string {
    const { identity, target } = source;
    if (identity === undefined) return source.ptx();
    const { cache } = this.#driver;
    const key = identityKey(identity, `text ${target}`);
    const stored = cache.read(key);
    if (stored !== undefined) return new TextDecoder().decode(stored);
    const ptx = source.ptx();
    cache.write(key, new TextEncoder().encode(ptx));
    return ptx;
  }

  unload(kernel: LoadedKernel): void {
    const module = this.#modules.get(kernel.function);
    if (module === undefined) return;
    this.#modules.delete(kernel.function);
    this.#driver.check('cuModuleUnload', this.#driver.api.cuModuleUnload(module));
  }

  /** The module, or the CUresult with which loading failed. */
  #tryModule(cubin: Uint8Array<ArrayBuffer>): { handle: Handle } | number {
    const { api, out, library } = this.#driver;
    const code = api.cuModuleLoadData(out.address, library.addressOf(cubin));
    if (code === cudaResults.outOfMemory) throw this.#driver.error('cuModuleLoadData', code);
    return code === 0 ? { handle: out.u64() } : code;
  }

  #function(module: Handle, source: KernelSource, cached: boolean): LoadedKernel {
    const { api, out, library } = this.#driver;
    const { kernel, name } = source;
    const symbol = nativeText(kernel.name);
    const found = api.cuModuleGetFunction(out.address, module, library.addressOf(symbol));
    this.#driver.check('cuModuleGetFunction', found);
    const handle = out.u64();
    this.#modules.set(handle, module);

    if (kernel.sharedBytes > defaultShared) {
      const code = api.cuFuncSetAttribute(handle, attributes.maxDynamicShared, kernel.sharedBytes);
      if (code !== 0) {
        throw new KernelCompileError(
          name,
          `it needs ${kernel.sharedBytes} bytes of shared memory: ${this.#driver.error('cuFuncSetAttribute', code).message}`,
        );
      }
    }
    const attribute = (id: number): number => {
      this.#driver.check('cuFuncGetAttribute', api.cuFuncGetAttribute(out.address, id, handle));
      return out.i32();
    };
    return {
      function: handle,
      registers: attribute(attributes.registers),
      localBytes: attribute(attributes.localBytes),
      cached,
    };
  }
}
