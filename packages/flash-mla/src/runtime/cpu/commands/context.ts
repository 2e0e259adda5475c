import type { HostKernels } from '../kernels.ts';

/** What a device knows when it builds a command. */
export interface CommandContext {
  readonly kernels: HostKernels;
  readonly workers: number;
  /** Report what leaves results undefined. */
  readonly debug: boolean;
}
