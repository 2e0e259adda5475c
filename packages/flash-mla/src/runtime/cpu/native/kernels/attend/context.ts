import type {
  Gpr64,
  JobField,
  KernelBuilder,
  KernelInputs,
  Memory,
  Ymm,
  Zmm,
} from '@flash-mla/machine-code';
import type { Vectors } from '../vectors.ts';
import type { attendJob } from './job.ts';

export type AttendInputs = KernelInputs<typeof attendJob, readonly []>;

/** What the parts of a kernel share; `J`: the fields of the job that a part reads. */
export interface Attend<V extends Zmm | Ymm, J = AttendInputs> {
  readonly k: KernelBuilder;
  readonly v: Vectors<V>;
  readonly job: J;
  /** Where the device's memory begins. */
  readonly base: Memory<'gpr64'>;
}

/** Query rows of a panel, whose scores lie side by side. */
export const panelRows = 16;
/** Bytes of one token's scores, and of one column of queries, in a panel. */
export const panelBytes = 4 * panelRows;

/** A register with the address that a field of the job tells. */
export function addressOf<F extends string>(
  { k, job, base }: Omit<Attend<Zmm, { readonly [N in F]: JobField }>, 'v'>,
  field: F,
): Gpr64 {
  const register = k.gpr(field, job[field]);
  k.add(register, base);
  return register;
}
