import type { FarPages } from '../memory/far-memory.ts';
import type { Koffi } from './require-koffi.ts';
import type { NativeSystem } from './system.ts';

/** Memory of this process beside the device's. */
export function farPages(koffi: Koffi, { map, unmap }: NativeSystem): FarPages {
  return {
    ...{ map, unmap },
    addressOf: (bytes) => BigInt(koffi.address(bytes)),
    view: (address, byteLength) => new Uint8Array(koffi.view(address, byteLength)),
  };
}
