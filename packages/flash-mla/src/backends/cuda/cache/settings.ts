import { join } from 'node:path';
import { InvalidArgumentError } from '@flash-mla/core';
import { homeFolder } from '../../../platform/home.ts';

/** Where compiled kernels are kept, and how many bytes of them. */
export interface CacheSettings {
  /** Undefined: there is no place for a cache. */
  readonly directory: string | undefined;
  /** 0: keep nothing. */
  readonly maxBytes: number;
}

const defaultMegabytes = 512;

/**
 * `FLASH_MLA_CACHE_DIR`, else the platform's cache directory; `FLASH_MLA_CACHE_MB` bounds it.
 * @throws {InvalidArgumentError} for a bound that is not a non-negative number.
 */
export function cacheSettings(environment: {
  readonly platform: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}): CacheSettings {
  const { variables } = environment;
  const megabytes = Number(variables.FLASH_MLA_CACHE_MB || defaultMegabytes);
  if (!(megabytes >= 0)) {
    throw new InvalidArgumentError(
      'FLASH_MLA_CACHE_MB',
      'a non-negative number of megabytes',
      `'${variables.FLASH_MLA_CACHE_MB}'`,
    );
  }
  const folder = root(environment);
  const directory = folder === undefined ? undefined : join(folder, 'cubin');
  return { directory, maxBytes: megabytes * 2 ** 20 };
}

/** Undefined where it would be in a home that the user does not have. */
function root({ platform, variables }: Parameters<typeof cacheSettings>[0]): string | undefined {
  const within = (...names: string[]) => {
    const home = homeFolder();
    return home === undefined ? undefined : join(home, ...names);
  };
  if (variables.FLASH_MLA_CACHE_DIR) return variables.FLASH_MLA_CACHE_DIR;
  if (platform === 'win32') {
    const local = variables.LOCALAPPDATA || within('AppData', 'Local');
    return local && join(local, 'flash-mla', 'Cache');
  }
  if (platform === 'darwin') return within('Library', 'Caches', 'flash-mla');
  const caches = variables.XDG_CACHE_HOME || within('.cache');
  return caches && join(caches, 'flash-mla');
}
