/** Debug mode: what must hold of the numbers in an operation's tensors, looked at on the device. */

import { InvalidArgumentError } from '../errors.ts';
import type { TensorView } from '../tensor/view.ts';

/** A condition on every element of an i32 tensor. A device reports the first that does not meet it. */
export interface NumberCheck {
  /** The argument's name, for the message. */
  readonly argument: string;
  /** i32 of rank 1 to 3; the innermost stride is 1. */
  readonly values: TensorView;
  /** Inclusive. */
  readonly low: number;
  readonly high: number;
  /** A value outside that is allowed as well, such as −1 in `indices`; equal to `low` if none. */
  readonly alsoAllowed: number;
  /** Whether an element must not be below the one before it (cumulative lengths; rank 1). */
  readonly ascending: boolean;
  /**
   * i32 (shape[0]): entry i says how much of `values[i]` counts, `ceil(clamp(count, 0, …) / unit)`
   * innermost elements, at most all. Absent: all.
   */
  readonly counts?: TensorView | undefined;
  readonly unit: number;
}

/** What a report of the device means. */
export function checkFailure(
  check: NumberCheck,
  index: number,
  value: number,
): InvalidArgumentError {
  const coordinates = unravel(index, check.values.shape).join(', ');
  const also = check.alsoAllowed < check.low ? `, or ${check.alsoAllowed}` : '';
  const order = check.ascending ? ', not below the entry before it' : '';
  return new InvalidArgumentError(
    `${check.argument}[${coordinates}]`,
    `${check.low} to ${check.high}${also}${order}`,
    String(value),
    'Found on the device in debug mode; the results of that call are undefined.',
  );
}

/** All elements from `low` to `high`, inclusive. */
export function range(
  argument: string,
  values: TensorView,
  low: number,
  high: number,
): NumberCheck {
  return { argument, values, low, high, alsoAllowed: low, ascending: false, unit: 1 };
}

function unravel(index: number, shape: readonly number[]): number[] {
  const coordinates: number[] = [];
  let rest = index;
  for (let d = shape.length - 1; d >= 0; d--) {
    const extent = Math.max(1, shape[d] ?? 1);
    coordinates.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return coordinates;
}
