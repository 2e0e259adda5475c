/**
 * Compiled kernels on disk, and texts of those that only the driver can keep compiled. A cache can only save
 * time: whatever goes wrong with it is noted for debugging and counts as a miss.
 *
 * Whoever can write to the folder decides what code runs in the user's context, so it must be the user's
 * own, and nobody else may write to it.
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
  type Stats,
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

/** The name of an entry of this content. `environment` says what compiled it, and for what. */
export function cubinKey(ptx: string, environment: string): string {
  return createHash('sha256').update(environment).update('\0').update(ptx).digest('hex');
}

/** The name of an entry by what decides its content: no text begins like this. */
export function identityKey(identity: string, environment: string): string {
  return cubinKey(`\0identity ${identity}`, environment);
}

type FileFacts = Pick<Stats, 'uid' | 'mode'>;

/** The calls to the file system, so that a test can put a full or read-only disk there. */
export interface CacheFiles {
  mkdirSync(path: string, options: { readonly recursive: true; readonly mode: number }): unknown;
  readFileSync(path: string): Buffer;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { readonly force: true }): void;
  /** Undefined where there is nothing. */
  statSync(path: string): FileFacts | undefined;
  utimesSync(path: string, accessed: Date, modified: Date): void;
  writeFileSync(path: string, data: Uint8Array): void;
}

export const nodeFiles: CacheFiles = {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync: (path) => statSync(path, { throwIfNoEntry: false }),
  utimesSync,
  writeFileSync,
};

const groupOrOthersWrite = 0o022;

export class CubinCache {
  readonly #directory: string | undefined;
  readonly #maxBytes: number;
  readonly #files: CacheFiles;
  #noted = false;

  constructor(settings: CacheSettings, files: CacheFiles = nodeFiles) {
    this.#directory = settings.directory;
    this.#maxBytes = settings.maxBytes;
    this.#files = files;
  }

  /** Where it is, or why it is not used: for `doctor`. */
  get state(): string {
    const refused = this.#refusal();
    return refused === undefined ? `${this.#directory}` : `off: ${refused}`;
  }

  /** The code stored under a key; undefined where there is none or it is damaged. */
  read(key: string): Uint8Array<ArrayBuffer> | undefined {
    const directory = this.#trusted();
    if (directory === undefined) return undefined;
    const path = pathOf(directory, key);
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
    const directory = this.#trusted();
    if (directory === undefined) return;
    const path = pathOf(directory, key);
    const temporary = join(
      directory,
      `${key.slice(0, 16)}-${process.pid}-${randomBytes(4).toString('hex')}${temporarySuffix}`,
    );
    try {
      this.#files.mkdirSync(directory, { recursive: true, mode: 0o700 });
      this.#files.writeFileSync(temporary, Buffer.concat([magic, digest(code), code]));
      this.#files.renameSync(temporary, path);
      this.#evict(directory);
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
    const directory = this.#trusted();
    if (directory === undefined) return;
    const path = pathOf(directory, key);
    try {
      this.#files.rmSync(path, { force: true });
    } catch (error) {
      note('remove', path, error);
    }
  }

  /** The folder, or undefined where it must not be used. Asked each time: folders change. */
  #trusted(): string | undefined {
    const refused = this.#refusal();
    if (refused === undefined) return this.#directory;
    if (!this.#noted) debugNote(`cache off: ${refused}`);
    this.#noted = true;
    return undefined;
  }

  /** Why the cache is not used. */
  #refusal(): string | undefined {
    const directory = this.#directory;
    if (directory === undefined) return 'the user has no home; FLASH_MLA_CACHE_DIR names a folder';
    if (this.#maxBytes === 0) return 'FLASH_MLA_CACHE_MB is 0';
    let facts: FileFacts | undefined;
    try {
      facts = this.#files.statSync(directory);
    } catch (error) {
      return `${directory}: ${error instanceof Error ? error.message : error}`;
    }
    const user = process.getuid?.();
    // Absent: it is made when it is needed. Windows has access lists in place of both.
    if (facts === undefined || user === undefined) return undefined;
    if (facts.uid !== user) return `${directory} belongs to another user (${facts.uid})`;
    if ((facts.mode & groupOrOthersWrite) === 0) return undefined;
    return `others may write to ${directory}; remove it, or chmod 700 it if you trust its contents`;
  }

  /** Removes what was used least recently until the bound holds. */
  #evict(directory: string): void {
    const entries: { path: string; bytes: number; used: number }[] = [];
    let total = 0;
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
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
}

function pathOf(directory: string, key: string): string {
  return join(directory, `${key}${suffix}`);
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
