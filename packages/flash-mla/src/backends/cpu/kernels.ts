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

/** Attends to a block with machine code: runs the job at this address of the memory. */
export type AttendNative = (job: number) => void;

/**
 * Instantiates the kernels on a memory. With `attendNative`, machine code attends to blocks; the host's
 * instance, which only tells sizes, is given {@link noThread}.
 */
export function instantiate<T>(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  attendNative?: AttendNative,
): T {
  const env = { memory, attendNative: attendNative ?? noThread };
  const { exports } = new WebAssembly.Instance(module, { env });
  if (attendNative) (exports.useNative as () => void)();
  return exports as unknown as T;
}

/** For an instance on which no command runs, or none with machine code. */
export const noThread: AttendNative = () => {
  throw new Error('this instance of the kernels has no machine code');
};
