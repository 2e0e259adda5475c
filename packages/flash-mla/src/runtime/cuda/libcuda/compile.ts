import { KernelCompileError } from '@flash-mla/core';
import type { Handle, KernelSource } from '../driver/driver.ts';
import { cudaResults } from '../driver/results.ts';
import { debugNote } from '../notes.ts';
import type { LibcudaDriver } from './driver.ts';
import { nativeText, Scratch } from './scratch.ts';

/** CUjit_option and CUjitInputType. */
const option = {
  infoLog: 3,
  infoLogBytes: 4,
  errorLog: 5,
  errorLogBytes: 6,
  target: 9,
  logVerbose: 12,
} as const;
const inputPtx = 1;
/** CU_COMPUTE_ACCELERATED_TARGET_BASE: added to an architecture for its `a` target. */
const acceleratedBase = 0x10000;
const logBytes = 16 * 1024;

/** Everything but the text that decides what the compiler makes of it, for the cache's key. */
export function jitOptions(target: string): string {
  return `target=${acceleratedTarget(target) ?? 'context'}`;
}

/** The value of CU_JIT_TARGET for `sm_90a` and the like; other targets follow the context. */
function acceleratedTarget(target: string): number | undefined {
  const sm = /^sm_(\d+)a$/.exec(target)?.[1];
  return sm === undefined ? undefined : acceleratedBase + Number(sm);
}

/**
 * Compiles PTX to machine code with the driver's own compiler. A kernel of attention's size takes it
 * one or two seconds. Throws {@link KernelCompileError} with the compiler's log.
 */
export function compilePtx(
  driver: LibcudaDriver,
  source: KernelSource,
  ptx: string,
): Uint8Array<ArrayBuffer> {
  const { api, library } = driver;
  const { count, ids, values, info, errors } = compilerOptions(driver, source);
  const out = new Scratch(library, 16);
  const created = api.cuLinkCreate(count, ids.address, values.address, out.address);
  driver.check('cuLinkCreate', created);
  const link = out.u64();
  const text = nativeText(ptx);
  const name = nativeText(`${source.name}.ptx`);
  try {
    const added = api.cuLinkAddData(
      link,
      inputPtx,
      library.addressOf(text),
      text.length,
      library.addressOf(name),
      0,
      0,
      0,
    );
    if (added !== 0) throw failure(driver, source, 'cuLinkAddData', added, errors.text());
    const completed = api.cuLinkComplete(link, out.address, out.address + 8);
    if (completed !== 0) throw failure(driver, source, 'cuLinkComplete', completed, errors.text());
    debugNote(`compiled ${source.name} for ${source.target}: ${info.text().trim()}`);
    // The link owns the code; it goes with cuLinkDestroy.
    return library.view(out.u64(), out.u64(8)).slice();
  } finally {
    api.cuLinkDestroy(link);
  }
}

/**
 * Whether a kernel must be compiled as a whole program: the linker's compiler ignores `setmaxnreg`, on
 * which kernels for one architecture rely.
 */
export function needsWholeProgram({ target }: KernelSource): boolean {
  return acceleratedTarget(target) !== undefined;
}

/**
 * Compiles PTX and loads it in one step; the driver keeps the code in a cache of its own
 * (CUDA_CACHE_PATH). Returns the module. Throws {@link KernelCompileError} with the compiler's log.
 */
export function loadPtx(driver: LibcudaDriver, source: KernelSource, ptx: string): Handle {
  const { api, library } = driver;
  const { count, ids, values, info, errors } = compilerOptions(driver, source);
  const out = new Scratch(library, 8);
  const text = nativeText(ptx);
  const image = library.addressOf(text);
  const code = api.cuModuleLoadDataEx(out.address, image, count, ids.address, values.address);
  if (code !== 0) throw failure(driver, source, 'cuModuleLoadDataEx', code, errors.text());
  debugNote(`compiled ${source.name} for ${source.target}: ${info.text().trim()}`);
  return out.u64();
}

/** The compiler's options and the memory for its logs. */
function compilerOptions(driver: LibcudaDriver, source: KernelSource) {
  const { library } = driver;
  const info = new Scratch(library, logBytes);
  const errors = new Scratch(library, logBytes);
  const settings: [number, number][] = [
    [option.infoLog, info.address],
    [option.infoLogBytes, logBytes],
    [option.errorLog, errors.address],
    [option.errorLogBytes, logBytes],
    [option.logVerbose, 1],
  ];
  const accelerated = acceleratedTarget(source.target);
  if (accelerated !== undefined) settings.push([option.target, accelerated]);
  const ids = new Scratch(library, 4 * settings.length);
  const values = new Scratch(library, 8 * settings.length);
  settings.forEach(([id, value], i) => {
    ids.setU32(4 * i, id);
    values.setU64(8 * i, value);
  });
  return { count: settings.length, ids, values, info, errors };
}

function failure(
  driver: LibcudaDriver,
  source: KernelSource,
  call: 'cuLinkAddData' | 'cuLinkComplete' | 'cuModuleLoadDataEx',
  code: number,
  log: string,
): Error {
  const error = driver.error(call, code);
  if (error.sticky || code === cudaResults.outOfMemory) return error;
  const text = log.trim() === '' ? error.message : `${error.errorName}: ${log}`;
  return new KernelCompileError(source.name, text);
}
