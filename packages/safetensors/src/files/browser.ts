/** The browser's side of the `#files` import; see node.ts for what each function promises. */

import { InvalidArgumentError } from '@flash-mla/core';
import { openBlob } from './blob.ts';
import type { OpenFile } from './open-file.ts';

export function openFile(path: string | URL): Promise<OpenFile> {
  return openBlob(path);
}

export async function writeFileChunks(
  path: string | URL,
  _chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  throw new InvalidArgumentError(
    'path',
    'a file system',
    `a browser, for '${path}'`,
    'encodeSafetensors() gives the bytes for a Blob.',
  );
}
