import type { DType } from './dtype.ts';
import type { DeviceBuffer } from './view.ts';

/** Memory shared by a tensor and its views; collected when the last of them is. */
export interface Allocation {
  readonly buffer: DeviceBuffer;
  /** What it was made for; kept apart, so that no text is built unless something is wrong. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Whether a leak would be reported. */
  readonly tracked: boolean;
  disposed: boolean;
}

/** What an allocation was made for, for messages. */
export function allocationLabel({ dtype, shape }: Allocation): string {
  return `${dtype} tensor (${shape.join(', ')})`;
}

interface Watched {
  readonly message: string;
  /** Closing a device frees its memory, so nothing leaked. */
  readonly owner: { readonly closed: boolean };
}

const finalizer = new FinalizationRegistry<Watched>(({ message, owner }) => {
  if (!owner.closed) console.warn(message);
});

/** Debug mode: warns when memory is still held although nothing can reach its tensors any more. */
export function trackLeak(allocation: Allocation, owner: Watched['owner']): void {
  const origin = new Error().stack?.split('\n').slice(3, 6).join('\n') ?? 'at an unknown place';
  const message =
    `flash-mla: ${allocationLabel(allocation)} was garbage-collected without dispose(); its ` +
    `${allocation.buffer.byteLength} bytes stay allocated. Created ${origin.trim()}`;
  finalizer.register(allocation, { message, owner }, allocation);
}

export function untrackLeak(allocation: Allocation): void {
  if (!allocation.tracked) return;
  finalizer.unregister(allocation);
}
