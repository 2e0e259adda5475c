/** Debug mode: what leaves results undefined though nothing else tells, looked at on the device. */

import { InvalidArgumentError } from '@flash-mla/core';
import type { TensorView } from '../tensor/view.ts';

/**
 * A condition on every element of an i32 tensor: it must be in range, and not below the one before it. A
 * device reports the first that does not meet it. Lengths, block numbers and indices need none: whatever
 * they are, they mean something.
 */
export interface NumberCheck {
  /** The argument's name, for the message. */
  readonly argument: string;
  /** i32 of rank 1, contiguous. */
  readonly values: TensorView;
  /** Inclusive. */
  readonly low: number;
  readonly high: number;
}

/** The largest i32. */
export const largestI32 = 2 ** 31 - 1;

/** What a report of the device means. */
export function checkFailure(
  check: NumberCheck,
  index: number,
  value: number,
): InvalidArgumentError {
  const range = check.low < 0 ? '' : `${check.low} or more, and `;
  return new InvalidArgumentError(
    `${check.argument}[${index}]`,
    `${range}not below the entry before it`,
    String(value),
    'Found on the device in debug mode; the results of that call are undefined.',
  );
}
