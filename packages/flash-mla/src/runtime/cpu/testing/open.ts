import { flashMlaKernels } from '../../../ops/kernel-libraries.ts';
import type { Backend } from '../../device/backend.ts';
import { type CpuOptions, open as openCpu } from '../index.ts';

/** Opens the backend with the library's kernels. */
export function open(index: number, options: Partial<CpuOptions>): Promise<Backend> {
  return openCpu(index, { kernels: [flashMlaKernels], ...options });
}
