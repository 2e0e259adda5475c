import type { FarPages } from '../memory/far-memory.ts';
import type { NativeStart } from './functions.ts';
import type { KernelKind, PassedOver } from './selection.ts';

/** The kernels that a device can run with here. */
export interface NativeFinding {
  readonly kind: KernelKind;
  /** Whether bf16 tokens are attended to in place, by products of bf16 pairs. */
  readonly bf16Products: boolean;
  /** Each better kind with what stands in its way. */
  readonly passedOver: readonly PassedOver[];
  /** What threads need to run them; undefined for `wasm`. */
  readonly start: NativeStart | undefined;
  /** Memory beside the device's, where there is machine code for it. */
  readonly pages: FarPages | undefined;
}
