import { OutOfMemoryError } from '@flash-mla/core';
import type { DeviceBuffer } from '../tensor/view.ts';
import type { HostMemory } from './backend.ts';

/** Whether a buffer is host memory. */
export function isHostMemory(buffer: DeviceBuffer): buffer is HostMemory {
  return 'bytes' in buffer;
}

/** Host memory of a device that reads it through the processor. Throws {@link OutOfMemoryError}. */
export function ordinaryMemory(byteLength: number): HostMemory {
  try {
    return { byteLength, bytes: new Uint8Array(byteLength) };
  } catch (error) {
    // What engines throw where there is no memory for a typed array.
    if (!(error instanceof RangeError)) throw error;
    throw new OutOfMemoryError('host', byteLength, undefined, 'Use several smaller buffers.');
  }
}
