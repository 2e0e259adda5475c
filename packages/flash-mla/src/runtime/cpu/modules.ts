import { BackendUnavailableError } from '@flash-mla/core';
import { allowRelaxedSimd, missingModuleRemedy, wasmPolicyRemedy } from '#platform';
import { shortageOfModule, shortageRemedy } from '../device/shortages.ts';

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

/** One build of the kernels as `assembly/build.mjs` leaves it. */
export interface EmbeddedKernels {
  readonly base64: string;
  /** Offset of the byte with the flags of the imported memory. */
  readonly memoryFlags: number;
}

/** Literal imports: every bundler follows these, few know what a `.wasm` file beside a module is. */
const builds = {
  relaxed: (): Promise<EmbeddedKernels> => import('../../../wasm/cpu-relaxed.js'),
  plain: (): Promise<EmbeddedKernels> => import('../../../wasm/cpu-plain.js'),
} as const;

/** Limits of a memory that is not shared but has a maximum. Atomic instructions are valid on it, too. */
const privateMemory = 1;

/** Throws {@link BackendUnavailableError} where the engine has no WebAssembly SIMD. */
export function requireSimd(): void {
  if (typeof WebAssembly === 'object' && WebAssembly.validate(simdProbe)) return;
  throw new BackendUnavailableError(
    'cpu',
    'this JavaScript engine has no WebAssembly SIMD',
    ['WebAssembly.validate() of a module with v128'],
    'Use Node 20.20 or newer, or a browser of 2023 or newer.',
    undefined,
    true,
  );
}

/** Whether modules with relaxed SIMD can be compiled now. */
export function hasRelaxedSimd(): boolean {
  if (WebAssembly.validate(relaxedProbe)) return true;
  allowRelaxedSimd();
  return WebAssembly.validate(relaxedProbe);
}

/** Throws {@link BackendUnavailableError} where they cannot be had, or the page forbids WebAssembly. */
export async function compileKernels(
  relaxedSimd: boolean,
  sharedMemory: boolean,
  load: () => Promise<EmbeddedKernels> = builds[relaxedSimd ? 'relaxed' : 'plain'],
): Promise<CompiledKernels> {
  const { base64, memoryFlags } = await load().catch((cause: unknown) => {
    const remedy = shortageOfModule(cause) ?? missingModuleRemedy;
    throw unusable('its kernels cannot be loaded', cause, remedy);
  });
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  if (!sharedMemory) bytes[memoryFlags] = privateMemory;
  const module = await WebAssembly.compile(bytes).catch((cause: unknown) => {
    const remedy = shortageRemedy(cause) ?? wasmPolicyRemedy;
    throw unusable('its kernels do not compile', cause, remedy);
  });
  return { module, relaxedSimd };
}

function unusable(reason: string, cause: unknown, remedy: string): BackendUnavailableError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new BackendUnavailableError('cpu', reason, [message], remedy, cause);
}
