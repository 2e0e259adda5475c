/** Norms of rows by machine code, where the host has some for the processor at hand. */

import { isNative } from '../attend/tile';
import { rowAt } from '../elements';
import { BF16, Rows } from '../generated/commands';
import { NormJob } from '../generated/native';

/** Runs the machine code on the job at this address. */
@external("env", "normNative")
declare function normNative(job: usize): void;

/** Columns come in multiples of this. */
const COLUMN_STEP: i32 = 32;

/** Whether machine code norms rows of so many columns. */
export function normsNatively(columns: i32): bool {
  return isNative && columns % COLUMN_STEP == 0;
}

/**
 * Norms row `r` of x, to which that of the residual is added, if there is one. `at`: where the job may be written,
 * `row`: room for a row of float32, which `out` may be as well.
 */
export function normRow(
  at: usize,
  x: Rows,
  residual: Rows,
  r: i32,
  gains: usize,
  row: usize,
  out: usize,
  outType: i32,
  columns: i32,
  eps: f32,
): void {
  const job = changetype<NormJob>(at);
  job.x = rowAt(x, r);
  job.xIsBf16 = x.type == BF16 ? 1 : 0;
  job.residual = residual.address == 0 ? 0 : rowAt(residual, r);
  job.residualIsBf16 = residual.type == BF16 ? 1 : 0;
  job.gains = gains;
  job.row = row;
  job.out = out;
  job.outIsBf16 = outType == BF16 ? 1 : 0;
  job.columns = columns;
  job.eps = eps;
  normNative(at);
}
