import type { Backend } from '../device/backend.ts';
import type { DeviceBuffer } from './view.ts';

/** The most bytes that the host makes at once. */
const pieceBytes = 2 ** 24;

/** Fills memory by writes, where a device has no better way. `element` is repeated. */
export function fillByWrites(
  backend: Pick<Backend, 'write'>,
  buffer: DeviceBuffer,
  byteOffset: number,
  byteLength: number,
  element: Uint8Array,
): void {
  const piece = repeated(element, Math.min(byteLength, pieceBytes));
  for (let done = 0; done < byteLength; done += piece.length) {
    backend.write(buffer, byteOffset + done, piece.subarray(0, byteLength - done));
  }
}

/** An element again and again, `byteLength` bytes long: a multiple of the element's. */
export function repeated(element: Uint8Array, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  bytes.set(element);
  for (let done = element.length; done < byteLength; done *= 2) {
    bytes.copyWithin(done, 0, Math.min(done, byteLength - done));
  }
  return bytes;
}
