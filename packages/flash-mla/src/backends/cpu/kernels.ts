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
  multiplyAdd(a: number, b: number, c: number): number;
  probeFmasPerIteration(): number;
}

/** Instantiates the kernels on a memory. */
export function instantiate<T>(module: WebAssembly.Module, memory: WebAssembly.Memory): T {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as T;
}
