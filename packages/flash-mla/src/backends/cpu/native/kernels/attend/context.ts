import type { Gpr64, KernelBuilder, KernelInputs, Memory, Ymm, Zmm } from '@flash-mla/machine-code';
import type { Vectors } from '../vectors.ts';
import type { attendJob } from './job.ts';

export type AttendInputs = KernelInputs<typeof attendJob, readonly []>;

type AddressField =
  | 'queries'
  | 'keys'
  | 'values'
  | 'scores'
  | 'outputs'
  | 'maximum'
  | 'sum'
  | 'decay'
  | 'limits';

/** What the parts of the kernel share. */
export interface Attend<V extends Zmm | Ymm> {
  readonly k: KernelBuilder;
  readonly v: Vectors<V>;
  readonly job: AttendInputs;
  /** Where the device's memory begins. */
  readonly base: Memory<'gpr64'>;
}

/** Query rows of a panel, whose scores lie side by side. */
export const panelRows = 16;
/** Bytes of one token's scores, and of one column of queries, in a panel. */
export const panelBytes = 4 * panelRows;

/** A register with the address that a field of the job tells. */
export function addressOf<V extends Zmm | Ymm>(
  { k, job, base }: Attend<V>,
  field: AddressField,
): Gpr64 {
  const register = k.gpr(field, job[field]);
  k.add(register, base);
  return register;
}
