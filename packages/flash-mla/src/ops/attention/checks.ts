/** Debug mode: what must hold of the numbers in the tensors of attention. */

import { largestI32, type NumberCheck } from '../../runtime/operation/number-check.ts';
import type { DenseAttentionArgs, DenseDecodeArgs, SparseDecodeArgs } from './contract.ts';

/** The sums of splits that the schedule of a call has: they are the user's to write to. */
export function decodeChecks({ schedule }: DenseDecodeArgs | SparseDecodeArgs): NumberCheck[] {
  return [{ argument: 'numSplits', values: schedule.numSplits, low: 0, high: largestI32 }];
}

/** Where offsets fall, several requests may own a row. */
export function denseAttentionChecks(args: DenseAttentionArgs): NumberCheck[] {
  const { cuSeqlensQ, cuSeqlensK } = args;
  const any = { low: -largestI32 - 1, high: largestI32 };
  const checks: NumberCheck[] = [];
  if (cuSeqlensQ) checks.push({ argument: 'cuSeqlensQo', values: cuSeqlensQ, ...any });
  if (cuSeqlensK) checks.push({ argument: 'cuSeqlensKv', values: cuSeqlensK, ...any });
  return checks;
}
