import { FlashMlaError } from '@flash-mla/core';

/** The command line itself is wrong. */
export class UsageError extends FlashMlaError {
  override readonly name = 'UsageError';
}
