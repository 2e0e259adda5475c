/** Files that the command line names, other than case files. */

import { mkdir, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openFile, writeFileChunks } from '@flash-mla/safetensors';
import { byteSize } from '../ops/bench/numbers.ts';
import { UsageError } from '../ops/bench/usage-error.ts';

/**
 * The text of a file of at most `limit` bytes. Throws {@link UsageError} for a larger one and for what
 * is no regular file, which may never end.
 */
export async function readTextFile(path: string, limit: number): Promise<string> {
  const file = await openFile(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === undefined ? new UsageError(`${path}: ${error.message}.`) : error;
  });
  try {
    if (file.size > limit) {
      throw new UsageError(
        `${path}: expected at most ${byteSize(limit)}, got ${byteSize(file.size)}.`,
      );
    }
    return new TextDecoder().decode(await file.read(0, file.size));
  } finally {
    await file.close();
  }
}

/**
 * Makes a folder and those above it; does nothing where it is there. Node's own `recursive` never ends
 * where the system says that a folder which exists is not there, as it does below /proc.
 */
export async function makeFolder(path: string): Promise<void> {
  const make = (folder: string) =>
    mkdir(folder).catch(async (error: NodeJS.ErrnoException) => {
      const found = await stat(folder).catch(() => undefined);
      if (found?.isDirectory() !== true) throw error;
    });
  const above = dirname(path);
  await make(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' || above === path) throw error;
    await makeFolder(above);
    await make(path);
  });
}

/** Writes a file whole or not at all. What is there and no regular file (a pipe) is written to. */
export async function writeTextFile(path: string, text: string): Promise<void> {
  // A link stays one: what it points to is replaced.
  const target = await realpath(path).catch(() => path);
  const found = await stat(target).catch(() => undefined);
  if (found !== undefined && !found.isFile()) return writeFile(target, text);
  const bytes = async function* () {
    yield new TextEncoder().encode(text);
  };
  await writeFileChunks(target, bytes());
}
