import type { BackendBuffer } from '../backends/backend.ts';

/** Memory shared by a tensor and its views; collected when the last of them is. */
export interface Allocation {
  readonly buffer: BackendBuffer;
  readonly label: string;
  disposed: boolean;
}

const finalizer = new FinalizationRegistry<string>((message) => console.warn(message));

/** Debug mode: warns when memory is still held although nothing can reach its tensors any more. */
export function trackLeak(allocation: Allocation): void {
  const origin = new Error().stack?.split('\n').slice(3, 6).join('\n') ?? 'at an unknown place';
  finalizer.register(
    allocation,
    `flash-mla: ${allocation.label} was garbage-collected without dispose(); its ` +
      `${allocation.buffer.byteLength} bytes stay allocated. Created ${origin.trim()}`,
    allocation,
  );
}

export function untrackLeak(allocation: Allocation): void {
  finalizer.unregister(allocation);
}
