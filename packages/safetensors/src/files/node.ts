/** Files in Node, behind the `#files` import. */

import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { openBlob } from './blob.ts';
import type { OpenFile } from './open-file.ts';

/** The kernel reads at most 2 GiB at once. */
const largestRead = 2 ** 30;

/**
 * Opens a file for reading by range; its bytes are read when asked for. Rejects with the system's
 * error. http(s) URLs are fetched whole.
 */
export async function openFile(path: string | URL): Promise<OpenFile> {
  if (path instanceof URL && path.protocol !== 'file:') return openBlob(path);
  // A pipe without a writer would keep `open` waiting, for ever. Windows has neither.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw new Error('not a regular file');
  }
  const readInto = async (target: Uint8Array, begin: number): Promise<number> => {
    let done = 0;
    while (done < target.byteLength) {
      const length = Math.min(largestRead, target.byteLength - done);
      const { bytesRead } = await handle.read(target, done, length, begin + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  };
  return {
    size: stat.size,
    close: () => handle.close(),
    readInto,
    read: async (begin, end) => {
      const bytes = new Uint8Array(end - begin);
      return bytes.subarray(0, await readInto(bytes, begin));
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
    // The system names the partial file, or none where a write has failed: the caller knows neither.
    if (error instanceof Error && 'errno' in error) Object.assign(error, { path: target });
    throw error;
  }
}
