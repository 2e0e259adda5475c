import { join } from 'node:path';
import { InvalidArgumentError } from '@flash-mla/core';
import { cacheFolder } from '../../platform/cache-folder.ts';

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
  const folder = cacheFolder(environment);
  const directory = folder === undefined ? undefined : join(folder, 'cubin');
  return { directory, maxBytes: megabytes * 2 ** 20 };
}
