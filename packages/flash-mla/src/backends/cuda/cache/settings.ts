import { homedir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from '../../../errors.ts';

/** Where compiled kernels are kept, and how many bytes of them. */
export interface CacheSettings {
  readonly directory: string;
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
  return { directory: join(root(environment), 'cubin'), maxBytes: megabytes * 2 ** 20 };
}

function root({ platform, variables }: Parameters<typeof cacheSettings>[0]): string {
  if (variables.FLASH_MLA_CACHE_DIR) return variables.FLASH_MLA_CACHE_DIR;
  if (platform === 'win32') {
    const local = variables.LOCALAPPDATA || join(homedir(), 'AppData', 'Local');
    return join(local, 'flash-mla', 'Cache');
  }
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'flash-mla');
  return join(variables.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flash-mla');
}
