/** The contract between the WebGPU runtime and the kernels of operations. Types only. */

import type { AnyOperation, Operation } from '../operation/operation.ts';
import type { Capabilities } from './runtime/limits.ts';
import type { LaunchTarget } from './runtime/runtime.ts';

/** How an operation runs on WebGPU. */
export interface WebGpuKernel<Args extends object, Shape = never, Traits = never> {
  readonly operation: Operation<Args, Shape, Traits>;
  /**
   * Dispatches one call. What decides the WGSL is in the name of each dispatch, under which its
   * pipeline is kept; sizes and scalars are parameters.
   */
  launch(target: LaunchTarget, args: Args): void;
  /** What the kernel says about itself. */
  traits?(shape: Shape, capabilities: Capabilities): Traits;
}

/** A kernel whose types are not known here: what a list of kernels holds. */
export interface AnyWebGpuKernel {
  readonly operation: AnyOperation;
  launch(target: LaunchTarget, args: object): void;
  traits?(shape: unknown, capabilities: Capabilities): unknown;
}

export { defineWebGpuKernel } from '../operation/define-kernels.ts';
