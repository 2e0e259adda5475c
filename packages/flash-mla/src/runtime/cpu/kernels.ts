import { type NativeFunctions, withoutCode } from './native/functions.ts';

/** What the compiled kernels export; see packages/flash-mla/assembly/index.ts. */
export interface Kernels {
  /** Commands, by name: (context, worker, workers, workspace, ...arguments). */
  readonly [operation: string]: (...args: number[]) => number;
}

/** The exports that the host itself calls. */
export interface HostKernels {
  blockTokens(): number;
  scratchBytes(
    rows: number,
    maxTileRows: number,
    dQk: number,
    dV: number,
    separateValues: number,
  ): number;
  slotBytes(rows: number, maxTileRows: number, dV: number): number;
  /** Whether products of tiles multiply such rows and weights; see assembly/gemm/native.ts. */
  multipliesByTiles(
    xType: number,
    weightType: number,
    transposed: number,
    columns: number,
    depth: number,
  ): number;
  multiplyAdd(a: number, b: number, c: number): number;
  probeFmasPerIteration(): number;
}

/** Instantiates the kernels on a memory; with `native`, machine code does the work at their core. */
export function instantiate<T>(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  native?: NativeFunctions,
): T {
  const code = {
    attendNative: native?.attendNative ?? withoutCode,
    attendRowsNative: native?.attendRowsNative ?? withoutCode,
    dotsNative: native?.dotsNative ?? withoutCode,
    productsNative: native?.productsNative ?? withoutCode,
  };
  const env = { memory, ...code };
  const { exports } = new WebAssembly.Instance(module, { env });
  if (native) (exports.useNative as (tokensInPlace: number) => void)(native.tokensInPlace);
  if (native?.hasTiles) (exports.useTiles as () => void)();
  return exports as unknown as T;
}
