import { type NativeFunctions, withoutCode } from './native/functions.ts';

/** What the compiled kernels export; see packages/flash-mla/assembly/index.ts. */
export interface Kernels {
  /** Commands, by name: they take the address of their head, behind which their descriptor lies. */
  readonly [operation: string]: (command: number) => number;
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
  /** Whether machine code multiplies rows with weights of a type, of so many elements each. */
  multipliesWeights(type: number, depth: number): number;
  multiplyAdd(a: number, b: number, c: number): number;
  probeFmasPerIteration(): number;
}

/** The thread that runs an instance of the kernels. */
export interface KernelThread {
  readonly index: number;
  readonly workers: number;
  /** Machine code does the work at their core. */
  readonly native?: NativeFunctions | undefined;
}

/** What the instance is told before its first command. */
interface Start {
  startThread(index: number, workers: number): void;
  useNative(tokensInPlace: number): void;
  useTiles(): void;
}

/** Instantiates the kernels on a memory, for a thread. */
export function instantiate<T>(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  { index, workers, native }: KernelThread,
): T {
  const code = {
    attendNative: native?.attendNative ?? withoutCode,
    attendRowsNative: native?.attendRowsNative ?? withoutCode,
    dotsNative: native?.dotsNative ?? withoutCode,
    scaledDotsNative: native?.scaledDotsNative ?? withoutCode,
    packNative: native?.packNative ?? withoutCode,
    dequantizeNative: native?.dequantizeNative ?? withoutCode,
    normNative: native?.normNative ?? withoutCode,
    copyNative: native?.copyNative ?? withoutCode,
    unpackNative: native?.unpackNative ?? withoutCode,
    productsNative: native?.productsNative ?? withoutCode,
  };
  const env = { memory, ...code };
  const { exports } = new WebAssembly.Instance(module, { env });
  const start = exports as unknown as Start;
  start.startThread(index, workers);
  if (native) start.useNative(native.tokensInPlace);
  if (native?.hasTiles) start.useTiles();
  return exports as unknown as T;
}
