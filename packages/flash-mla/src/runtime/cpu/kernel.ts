/** The contract between the CPU runtime and the kernels of operations. Types only. */

import type { AnyOperation, Operation } from '../operation/operation.ts';
import type { TensorView } from '../tensor/view.ts';
import type { Command } from './commands/command.ts';
import type { CommandContext } from './commands/context.ts';

/** How an operation runs on the workers. */
export interface CpuKernel<Args extends object, Shape = never, Traits = never> {
  readonly operation: Operation<Args, Shape, Traits>;
  /** One call as a command for all workers. */
  command(context: CommandContext, args: Args): Command;
  /** What the kernel says about itself. */
  traits?(shape: Shape, context: CommandContext): Traits;
  /** Whether the command works on this tensor outside the device's memory; absent: on none. */
  takesFar?(context: CommandContext, args: Args, view: TensorView): boolean;
}

/** A kernel whose types are not known here: what a list of kernels holds. */
export interface AnyCpuKernel {
  readonly operation: AnyOperation;
  command(context: CommandContext, args: object): Command;
  traits?(shape: unknown, context: CommandContext): unknown;
  takesFar?(context: CommandContext, args: object, view: TensorView): boolean;
}

export { defineCpuKernel } from '../operation/define-kernels.ts';
