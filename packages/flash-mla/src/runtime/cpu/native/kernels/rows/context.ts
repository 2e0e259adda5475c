import type { Gpr64, KernelBuilder, KernelInputs, Memory } from '@flash-mla/machine-code';
import type { rowsJob } from './job.ts';

export type RowsInputs = KernelInputs<typeof rowsJob, readonly []>;

/** What the parts of the kernel share. */
export interface Rows {
  readonly k: KernelBuilder;
  readonly job: RowsInputs;
  /** Where the device's memory begins. */
  readonly base: Memory<'gpr64'>;
}

/** Bytes of a pair of tokens or elements, for 16 rows or columns. */
export const pairBytes = 64;

/** Sets registers to the addresses of tokens that the list names from `list` on. */
export function loadRows({ k, base }: Rows, rows: readonly Gpr64[], list: Gpr64): void {
  for (const [i, row] of rows.entries()) {
    k.mov(row.low32, list.at(4 * i));
    k.add(row, base);
  }
}
