import { computeScheduleIn } from '../../../ops/attention/cpu/schedule-worker.ts';
import { operations } from '../commands/operations.ts';
import type { Kernels } from '../kernels.ts';

/** Runs one command on the calling worker. `args`: the workspace, then the command's arguments. */
export function runCommand(
  kernels: Kernels,
  memory: WebAssembly.Memory,
  operation: number,
  context: number,
  worker: number,
  workers: number,
  args: ArrayLike<number>,
): void {
  const name = operations[operation];
  if (name === 'computeSchedule') {
    // Small and sequential: one worker does it, the others wait for the command's end.
    if (worker === 0) computeScheduleIn(memory.buffer, args);
    return;
  }
  const kernel = name === undefined ? undefined : kernels[name];
  if (!kernel) throw new Error(`operation ${operation} is unknown to this worker`);
  kernel(context, worker, workers, ...Array.from(args));
}
