/** What Node offers and a browser does not, behind the `#platform` import. */

import { open, readFile, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { openBlob } from './blob.ts';
import type { OpenFile } from './open-file.ts';

/** Reads a file that ships with the package. */
export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(url);
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
}

/** Threads that can run side by side. */
export function hardwareThreads(): number {
  return availableParallelism();
}

/** The kernel reads at most 2 GiB at once. */
const largestRead = 2 ** 30;

/**
 * Opens a file for reading by range; its bytes are read when asked for. Rejects with the system's
 * error. http(s) URLs are fetched whole.
 */
export async function openFile(path: string | URL): Promise<OpenFile> {
  if (path instanceof URL && path.protocol !== 'file:') return openBlob(path);
  const handle = await open(path, 'r');
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw new Error('not a regular file');
  }
  return {
    size: stat.size,
    close: () => handle.close(),
    read: async (begin, end) => {
      const bytes = new Uint8Array(end - begin);
      let done = 0;
      while (done < bytes.byteLength) {
        const length = Math.min(largestRead, bytes.byteLength - done);
        const { bytesRead } = await handle.read(bytes, done, length, begin + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes.subarray(0, done);
    },
  };
}

/** Writes a file beside its final name and renames it into place; leaves nothing behind on failure. */
export async function writeFileChunks(
  path: string | URL,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const target = path instanceof URL ? fileURLToPath(path) : path;
  const partial = `${target}.${process.pid}.partial`;
  try {
    const handle = await open(partial, 'w');
    try {
      for await (const chunk of chunks) await handle.writeFile(chunk);
    } finally {
      await handle.close();
    }
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
