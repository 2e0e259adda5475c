import type { OpenFile } from './open-file.ts';

/** Fetches a file as a blob, which a browser may keep on disk, and reads it by range. */
export async function openBlob(url: string | URL): Promise<OpenFile> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const blob = await response.blob();
  return {
    size: blob.size,
    read: async (begin, end) => new Uint8Array(await blob.slice(begin, end).arrayBuffer()),
    readInto: async (target, begin) => {
      const bytes = new Uint8Array(await blob.slice(begin, begin + target.length).arrayBuffer());
      target.set(bytes);
      return bytes.length;
    },
    close: async () => {},
  };
}
