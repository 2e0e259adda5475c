import type { NumberCheck } from '../../operation/number-check.ts';
import { defineOperation } from '../../operation/operation.ts';

/** Arguments of {@link checkNumbers}. */
export interface CheckNumbersArgs {
  readonly check: NumberCheck;
  /** Tells the reports apart; above 0. */
  readonly sequence: number;
  /**
   * Address of i32 [sequence, index, value, 0]. The kernel writes it only if [0] is still 0 and an
   * element is bad: `index` is the smallest bad one's.
   */
  readonly report: number;
}

/** Debug mode: finds the first element of an i32 tensor that is out of range or below the one before it. */
export const checkNumbers = defineOperation<CheckNumbersArgs>({
  name: 'checkNumbers',
  reads: ({ check }) => [check.values],
  writes: () => [],
});
