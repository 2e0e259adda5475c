/** Kernels of a program's own, checked against the contract of their kind of device. */

import type { AnyCpuKernel, CpuKernel } from '../cpu/kernel.ts';
import type { AnyCudaKernel, CudaKernel, OperationPlan } from '../cuda/kernel.ts';
import type { AnyWebGpuKernel, WebGpuKernel } from '../webgpu/kernel.ts';

/** Forgets the types of a kernel that its definition was checked against. */
export function defineCudaKernel<
  Args extends object,
  Problem extends object,
  Plan extends OperationPlan,
  Shape,
  Traits,
>(kernel: CudaKernel<Args, Problem, Plan, Shape, Traits>): AnyCudaKernel {
  return kernel as unknown as AnyCudaKernel;
}

/** Checks a kernel against its contract and forgets its types. */
export function defineWebGpuKernel<Args extends object, Shape, Traits>(
  kernel: WebGpuKernel<Args, Shape, Traits>,
): AnyWebGpuKernel {
  return kernel as unknown as AnyWebGpuKernel;
}

/** Checks a kernel against its contract and forgets its types. */
export function defineCpuKernel<Args extends object, Shape, Traits>(
  kernel: CpuKernel<Args, Shape, Traits>,
): AnyCpuKernel {
  return kernel as unknown as AnyCpuKernel;
}
