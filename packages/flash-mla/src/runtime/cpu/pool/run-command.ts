import type { Kernels } from '../kernels.ts';

/** Runs one command on the calling worker. `args`: the workspace, then the command's arguments. */
export function runCommand(
  kernels: Kernels,
  name: string | undefined,
  context: number,
  worker: number,
  workers: number,
  args: ArrayLike<number>,
): void {
  const kernel = name === undefined ? undefined : kernels[name];
  if (!kernel) throw new Error(`this worker has no command ${name}`);
  kernel(context, worker, workers, ...Array.from(args));
}
