import { join } from 'node:path';
import { homeFolder } from './home.ts';

/**
 * Where this library keeps what it made for a machine: `FLASH_MLA_CACHE_DIR`, else the platform's cache
 * directory. Undefined where that would be in a home that the user does not have.
 */
export function cacheFolder(environment: {
  readonly platform: string;
  readonly variables: Readonly<Record<string, string | undefined>>;
}): string | undefined {
  const { platform, variables } = environment;
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
