/** The browser's side of the `#platform` import; see node.ts for what each function promises. */

import { InvalidArgumentError } from '../errors.ts';
import { openBlob } from './blob.ts';
import type { OpenFile } from './open-file.ts';

export async function readAsset(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: HTTP ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

export function hardwareThreads(): number {
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

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
