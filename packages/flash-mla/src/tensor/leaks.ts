import type { BackendBuffer } from '../backends/backend.ts';

/** Memory shared by a tensor and its views; collected when the last of them is. */
export interface Allocation {
  readonly buffer: BackendBuffer;
  readonly label: string;
  disposed: boolean;
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
    `flash-mla: ${allocation.label} was garbage-collected without dispose(); its ` +
    `${allocation.buffer.byteLength} bytes stay allocated. Created ${origin.trim()}`;
  finalizer.register(allocation, { message, owner }, allocation);
}

export function untrackLeak(allocation: Allocation): void {
  finalizer.unregister(allocation);
}
