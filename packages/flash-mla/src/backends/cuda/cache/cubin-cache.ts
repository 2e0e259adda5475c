/**
 * Compiled kernels on disk. A cache can only save time: whatever goes wrong with it is noted for
 * debugging and counts as a miss.
 *
 * An entry is one file: magic, SHA-256 of the code, the code. It is written under another name and
 * renamed, so that a reader sees all of it or nothing, and two processes that fill the same entry at
 * once both end with a good one.
 */

import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { debugNote } from '../notes.ts';
import type { CacheSettings } from './settings.ts';

const magic = Buffer.from('FMLAcub1');
const digestBytes = 32;
const headerBytes = magic.length + digestBytes;
const suffix = '.cubin';
const temporarySuffix = '.tmp';
/** Older temporary files are what a killed process left. */
const temporaryLifetimeMs = 3_600_000;
/** Eviction makes some room at once, so that it does not run at every write. */
const keepShare = 0.75;

/** The name of an entry. `environment` says what compiled it, and for what. */
export function cubinKey(ptx: string, environment: string): string {
  return createHash('sha256').update(environment).update('\0').update(ptx).digest('hex');
}

/** The calls to the file system, so that a test can put a full or read-only disk there. */
export interface CacheFiles {
  mkdirSync(path: string, options: { readonly recursive: true }): unknown;
  readFileSync(path: string): Buffer;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { readonly force: true }): void;
  utimesSync(path: string, accessed: Date, modified: Date): void;
  writeFileSync(path: string, data: Uint8Array): void;
}

export const nodeFiles: CacheFiles = {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
};

export class CubinCache {
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #files: CacheFiles;

  constructor(settings: CacheSettings, files: CacheFiles = nodeFiles) {
    this.#directory = settings.directory;
    this.#maxBytes = settings.maxBytes;
    this.#files = files;
  }

  /** The code stored under a key; undefined where there is none or it is damaged. */
  read(key: string): Uint8Array<ArrayBuffer> | undefined {
    if (this.#maxBytes === 0) return undefined;
    const path = this.#path(key);
    let file: Buffer;
    try {
      file = this.#files.readFileSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') note('read', path, error);
      return undefined;
    }
    const code = unpack(file);
    if (code === undefined) {
      debugNote(`cache: ${path} is damaged; compiling anew`);
      this.remove(key);
      return undefined;
    }
    this.#touch(path);
    return code;
  }

  write(key: string, code: Uint8Array): void {
    if (this.#maxBytes === 0) return;
    const path = this.#path(key);
    const temporary = join(
      this.#directory,
      `${key.slice(0, 16)}-${process.pid}-${randomBytes(4).toString('hex')}${temporarySuffix}`,
    );
    try {
      this.#files.mkdirSync(this.#directory, { recursive: true });
      this.#files.writeFileSync(temporary, Buffer.concat([magic, digest(code), code]));
      this.#files.renameSync(temporary, path);
      this.#evict();
    } catch (error) {
      note('write', path, error);
      try {
        this.#files.rmSync(temporary, { force: true });
      } catch {
        // What could not be written may not be removable either; eviction gets it later.
      }
    }
  }

  remove(key: string): void {
    try {
      this.#files.rmSync(this.#path(key), { force: true });
    } catch (error) {
      note('remove', this.#path(key), error);
    }
  }

  /** Removes what was used least recently until the bound holds. */
  #evict(): void {
    const entries: { path: string; bytes: number; used: number }[] = [];
    let total = 0;
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (name.endsWith(temporarySuffix) && Date.now() - stat.mtimeMs > temporaryLifetimeMs) {
        this.#files.rmSync(path, { force: true });
      }
      if (!name.endsWith(suffix)) continue;
      entries.push({ path, bytes: stat.size, used: stat.mtimeMs });
      total += stat.size;
    }
    if (total <= this.#maxBytes) return;
    entries.sort((a, b) => a.used - b.used);
    for (const { path, bytes } of entries) {
      if (total <= this.#maxBytes * keepShare) break;
      this.#files.rmSync(path, { force: true });
      total -= bytes;
    }
  }

  /** The modification time says when an entry was last used. */
  #touch(path: string): void {
    try {
      const now = new Date();
      this.#files.utimesSync(path, now, now);
    } catch (error) {
      note('touch', path, error);
    }
  }

  #path(key: string): string {
    return join(this.#directory, `${key}${suffix}`);
  }
}

function unpack(file: Buffer): Uint8Array<ArrayBuffer> | undefined {
  if (file.length <= headerBytes || !file.subarray(0, magic.length).equals(magic)) return undefined;
  const code = new Uint8Array(file.subarray(headerBytes));
  return file.subarray(magic.length, headerBytes).equals(digest(code)) ? code : undefined;
}

function digest(code: Uint8Array): Buffer {
  return createHash('sha256').update(code).digest();
}

function note(action: string, path: string, error: unknown): void {
  debugNote(`cache: cannot ${action} ${path}: ${error instanceof Error ? error.message : error}`);
}
