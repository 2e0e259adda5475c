import { FlashMlaError } from '@flash-mla/core';
import { isSticky, remedyOf } from './results.ts';

/** A driver call failed: which one, what the driver calls the failure, what to do. */
export class CudaDriverError extends FlashMlaError {
  override readonly name = 'CudaDriverError';
  /** The driver's function, e.g. `cuMemAlloc`. */
  readonly call: string;
  /** CUresult. */
  readonly code: number;
  /** The driver's name of it, e.g. `CUDA_ERROR_ILLEGAL_ADDRESS`. */
  readonly errorName: string;
  /** Whether the context is beyond use. */
  readonly sticky: boolean;

  constructor(call: string, code: number, errorName: string, description: string) {
    super(`${call} failed: ${errorName} (${code}): ${description}. ${remedyOf(code)}`);
    this.call = call;
    this.code = code;
    this.errorName = errorName;
    this.sticky = isSticky(code);
  }
}
