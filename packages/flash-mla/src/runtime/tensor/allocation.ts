import { type DType, dtypeSize, numElements } from '@flash-mla/core';
import type { Backend, MemoryPurpose } from '../device/backend.ts';
import type { Recording } from './recording.ts';
import type { DeviceBuffer } from './view.ts';

/** What memory needs of the device it comes from. */
export interface AllocationHost {
  readonly debug: boolean;
  /** Whether the device was disposed of, and with it all memory. */
  readonly closed: boolean;
  /** The capture under way. */
  readonly recording: Recording | undefined;
  /** Throws {@link DisposedError} or {@link DeviceLostError} when the device is closed. */
  readonly backend: Backend;
}

/** Memory shared by a tensor and its views; collected when the last of them is. */
export interface Allocation {
  /** What messages call it, where it is no tensor's. */
  readonly label?: string;
  readonly buffer: DeviceBuffer;
  /** What it was made for; kept apart, so that no text is built unless something is wrong. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Whether a leak would be reported. */
  readonly tracked: boolean;
  disposed: boolean;
  /** Graphs that use it: it goes back once it is disposed of and the last of them is gone. */
  holders: number;
}

/** Memory for a contiguous tensor, watched for leaks in debug mode. Throws {@link OutOfMemoryError}. */
export function allocateMemory(
  host: AllocationHost,
  shape: readonly number[],
  dtype: DType,
  purpose?: MemoryPurpose,
): Allocation {
  const { backend, recording } = host;
  const byteLength = numElements(shape) * dtypeSize(dtype);
  const allocation: Allocation = {
    buffer: recording?.reuse(byteLength) ?? backend.allocate(byteLength, purpose),
    dtype,
    shape,
    tracked: host.debug,
    disposed: false,
    holders: 0,
  };
  recording?.made(allocation);
  if (allocation.tracked) trackLeak(allocation, host);
  return allocation;
}

/** Host memory that copies reach. Throws {@link OutOfMemoryError}. */
export function allocateHostMemory(host: AllocationHost, byteLength: number): Allocation {
  const allocation: Allocation = {
    label: `pinned buffer of ${byteLength} bytes`,
    buffer: host.backend.allocateHost(byteLength),
    dtype: 'u8',
    shape: [byteLength],
    tracked: host.debug,
    disposed: false,
    holders: 0,
  };
  if (allocation.tracked) trackLeak(allocation, host);
  return allocation;
}

/** Disposes of memory: at once, or when no graph uses it any more. Idempotent. */
export function disposeMemory(host: AllocationHost, allocation: Allocation): void {
  if (allocation.disposed) return;
  allocation.disposed = true;
  if (allocation.tracked) finalizer.unregister(allocation);
  if (host.closed) return;
  if (allocation.holders === 0) host.backend.release(allocation.buffer);
  else host.recording?.spare(allocation);
}

/** What an allocation was made for, for messages. */
export function allocationLabel({ label, dtype, shape }: Allocation): string {
  return label ?? `${dtype} tensor (${shape.join(', ')})`;
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
function trackLeak(allocation: Allocation, owner: Watched['owner']): void {
  const origin = new Error().stack?.split('\n').slice(3, 6).join('\n') ?? 'at an unknown place';
  const message =
    `flash-mla: ${allocationLabel(allocation)} was garbage-collected without dispose(); its ` +
    `${allocation.buffer.byteLength} bytes stay allocated. Created ${origin.trim()}`;
  finalizer.register(allocation, { message, owner }, allocation);
}
