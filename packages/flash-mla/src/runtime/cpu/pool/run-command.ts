import type { Kernels } from '../kernels.ts';

/** Runs the command at an address on the calling worker. */
export function runCommand(kernels: Kernels, name: string | undefined, command: number): void {
  const kernel = name === undefined ? undefined : kernels[name];
  if (!kernel) throw new Error(`this worker has no command ${name}`);
  kernel(command);
}
