/** What Node offers and a browser does not, behind the `#platform` import. */

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';

/** Reads a file that ships with the package. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(url);
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}

/** Threads that can run side by side. */
export function hardwareThreads(): number {
  return availableParallelism();
}
