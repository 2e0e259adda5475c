import type { NativeStart } from './call-attend.ts';
import type { KernelKind } from './selection.ts';

/** The kernels that a device can run with here. */
export interface NativeFinding {
  readonly kind: KernelKind;
  /** Each better kind with what stands in its way. */
  readonly passedOver: readonly { readonly kind: KernelKind; readonly reason: string }[];
  /** What threads need to run them; undefined for `wasm`. */
  readonly start: NativeStart | undefined;
}
