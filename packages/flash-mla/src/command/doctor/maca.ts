import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One place that was looked at. */
export interface Looked {
  readonly what: string;
  readonly path: string;
  readonly found: boolean;
}

/** What is known of a MetaX MACA installation (the software stack of MetaX GPUs). */
export interface MacaReport {
  readonly found: boolean;
  /** `MACA_PATH` comes first, where it is set. */
  readonly looked: readonly Looked[];
  /** From its Version.txt. */
  readonly version: string | undefined;
  /** What can be used there, or how it would be found. */
  readonly advice: string;
}

/** Where to look; the defaults are those of MetaX's installer and driver. */
export interface MacaPlaces {
  readonly env?: NodeJS.ProcessEnv;
  readonly defaultRoot?: string;
  readonly deviceNode?: string;
}

const runtimeLibraries = ['lib/libmcruntime.so', 'lib64/libmcruntime.so'];

/** Looks for MACA without loading anything of it. */
export function inspectMaca(places: MacaPlaces = {}): MacaReport {
  const { env = process.env, defaultRoot = '/opt/maca', deviceNode = '/dev/mxcd' } = places;
  const named = env.MACA_PATH;
  const root = named !== undefined && named !== '' ? named : defaultRoot;
  const look = (what: string, path: string): Looked => ({ what, path, found: existsSync(path) });

  const folder = look(named ? 'MACA_PATH' : 'default folder, MACA_PATH is not set', root);
  const libraries = runtimeLibraries.map((path) => look('runtime library', join(root, path)));
  const library = libraries.find(({ found }) => found) ?? libraries[0];
  const looked = [folder];
  if (folder.found && library !== undefined) {
    looked.push(library, look('compiler', join(root, 'mxgpu_llvm', 'bin', 'mxcc')));
  }
  looked.push(look('device node', deviceNode));

  const found = folder.found && library?.found === true;
  return { found, looked, version: found ? readVersion(root) : undefined, advice: advise() };

  function advise(): string {
    if (found) {
      return (
        'Use the cpu backend here. The cuda backend cannot drive MetaX GPUs: its kernels are PTX, ' +
        'which MACA does not take (it compiles C++ with mxcc, for warps of 64 lanes). ' +
        'MetaX keeps a Python FlashMLA for these GPUs: github.com/MetaX-MACA/FlashMLA.'
      );
    }
    if (folder.found) {
      return `${root} holds no MACA runtime library: reinstall MACA, or set MACA_PATH to its folder.`;
    }
    if (named) return 'MACA_PATH names a folder that is not there: correct it or unset it.';
    return 'Nothing to do, unless this machine has a MetaX GPU: then set MACA_PATH.';
  }
}

/** Whether there is a trace of MACA, or somebody expects one: on other machines it is of no interest. */
export function isRelevant({ looked }: MacaReport): boolean {
  return looked.some(({ what, found }) => found || what === 'MACA_PATH');
}

/** Its file reads `Version:3.3.0.15`. */
function readVersion(root: string): string | undefined {
  try {
    const text = readFileSync(join(root, 'Version.txt'), 'utf8');
    return /^\s*(?:Version:)?\s*(\S+)/.exec(text)?.[1];
  } catch {
    return undefined;
  }
}
