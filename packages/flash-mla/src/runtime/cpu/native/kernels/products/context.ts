import type { KernelBuilder, KernelInputs, Memory } from '@flash-mla/machine-code';
import type { productsJob } from './job.ts';

export type ProductsInputs = KernelInputs<typeof productsJob, readonly []>;

/** What the parts of the kernel share. */
export interface Products {
  readonly k: KernelBuilder;
  readonly job: ProductsInputs;
  /** Where the device's memory begins. */
  readonly base: Memory<'gpr64'>;
}

/** Rows of a tile, of x or of weights. */
export const tileRows = 16;
/** Bytes of a row of a tile: 32 numbers of bf16, or 16 sums. */
export const lineBytes = 64;
export const tileBytes = tileRows * lineBytes;
