import { allowRelaxedSimd, readAsset } from '#platform';
import { BackendUnavailableError } from '../../errors.ts';

/** One build of the kernels, compiled. */
export interface CompiledKernels {
  readonly module: WebAssembly.Module;
  /** Whether multiply-add may be fused. */
  readonly relaxedSimd: boolean;
}

/** (func i8x16.splat(0) three times, f32x4.relaxed_madd, drop) */
const relaxedProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 20, 1, 18, 0, 65, 0, 253, 15, 65,
  0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 26, 11,
]);

/** (func i8x16.splat(0), drop) */
const simdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26,
  11,
]);

/** Where each build is; literal, so that bundlers find the files. */
const assets = {
  relaxed: {
    shared: () => new URL('../../../wasm/cpu-relaxed.wasm', import.meta.url),
    private: () => new URL('../../../wasm/cpu-relaxed-private.wasm', import.meta.url),
  },
  plain: {
    shared: () => new URL('../../../wasm/cpu-plain.wasm', import.meta.url),
    private: () => new URL('../../../wasm/cpu-plain-private.wasm', import.meta.url),
  },
} as const;

/** Throws {@link BackendUnavailableError} where the engine has no WebAssembly SIMD. */
export function requireSimd(): void {
  if (typeof WebAssembly === 'object' && WebAssembly.validate(simdProbe)) return;
  throw new BackendUnavailableError(
    'cpu',
    'this JavaScript engine has no WebAssembly SIMD',
    ['WebAssembly.validate() of a module with v128'],
    'Use Node 20.20 or newer, or a browser of 2023 or newer.',
  );
}

/** Whether modules with relaxed SIMD can be compiled now. */
export function hasRelaxedSimd(): boolean {
  if (WebAssembly.validate(relaxedProbe)) return true;
  allowRelaxedSimd();
  return WebAssembly.validate(relaxedProbe);
}

/** Throws {@link BackendUnavailableError} where the file is missing. */
export async function compileKernels(
  relaxedSimd: boolean,
  sharedMemory: boolean,
): Promise<CompiledKernels> {
  const build = assets[relaxedSimd ? 'relaxed' : 'plain'];
  const url = build[sharedMemory ? 'shared' : 'private']();
  try {
    return { module: await WebAssembly.compile(await readAsset(url)), relaxedSimd };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new BackendUnavailableError(
      'cpu',
      'its kernels cannot be loaded',
      [`${url.href}: ${message}`],
      'Run `npm run build` in a clone, or reinstall flash-mla.',
      cause,
    );
  }
}
