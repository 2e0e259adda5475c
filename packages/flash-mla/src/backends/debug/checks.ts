/** Debug mode: what leaves results undefined though nothing else tells, checked on the device. */

import { InvalidArgumentError } from '../../errors.ts';
import type {
  DenseAttentionArgs,
  DenseDecodeArgs,
  SparseDecodeArgs,
  TensorView,
} from '../backend.ts';

/**
 * A condition on every element of an i32 tensor: it must be in range, and not below the one before it. A
 * device reports the first that does not meet it. Lengths, block numbers and indices need none: whatever
 * they are, they mean something.
 */
export interface Check {
  /** The argument's name, for the message. */
  readonly argument: string;
  /** i32 of rank 1, contiguous. */
  readonly values: TensorView;
  /** Inclusive. */
  readonly low: number;
  readonly high: number;
}

/** The sums of splits that the schedule of a call has: they are the user's to write to. */
export function decodeChecks({ schedule }: DenseDecodeArgs | SparseDecodeArgs): Check[] {
  return [{ argument: 'numSplits', values: schedule.numSplits, low: 0, high: largest }];
}

/** Where offsets fall, several requests may own a row. */
export function denseAttentionChecks({ cuSeqlensQ, cuSeqlensK }: DenseAttentionArgs): Check[] {
  const any = { low: -largest - 1, high: largest };
  const checks: Check[] = [];
  if (cuSeqlensQ) checks.push({ argument: 'cuSeqlensQo', values: cuSeqlensQ, ...any });
  if (cuSeqlensK) checks.push({ argument: 'cuSeqlensKv', values: cuSeqlensK, ...any });
  return checks;
}

const largest = 2 ** 31 - 1;

/** What a report of the device means. */
export function checkFailure(check: Check, index: number, value: number): InvalidArgumentError {
  const range = check.low < 0 ? '' : `${check.low} or more, and `;
  return new InvalidArgumentError(
    `${check.argument}[${index}]`,
    `${range}not below the entry before it`,
    String(value),
    'Found on the device in debug mode; the results of that call are undefined.',
  );
}
