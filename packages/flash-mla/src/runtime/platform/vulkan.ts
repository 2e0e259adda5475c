import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { homeFolder } from './home.ts';

/** Where the Vulkan loader looks for drivers, and what is there. */
export interface VulkanDrivers {
  /** Manifests of drivers, `*.json`. */
  readonly manifests: readonly string[];
  readonly looked: readonly string[];
}

/**
 * Finds Vulkan drivers as the loader does (Linux). Asking first keeps Dawn, which writes to stderr when
 * it finds none, out of a machine that has none.
 */
export async function findVulkanDrivers(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<VulkanDrivers> {
  const files = environment.VK_DRIVER_FILES || environment.VK_ICD_FILENAMES;
  if (files) return { manifests: split(files), looked: [`VK_DRIVER_FILES=${files}`] };
  const home = homeFolder();
  const roots = [
    environment.XDG_CONFIG_HOME || (home && join(home, '.config')),
    ...split(environment.XDG_CONFIG_DIRS || '/etc/xdg'),
    '/etc',
    '/usr/local/etc',
    environment.XDG_DATA_HOME || (home && join(home, '.local', 'share')),
    ...split(environment.XDG_DATA_DIRS || '/usr/local/share:/usr/share'),
  ];
  const folders = [...new Set(roots)]
    .filter((root) => root !== undefined)
    .map((root) => join(root, 'vulkan', 'icd.d'));
  const found = await Promise.all(
    folders.map((folder) =>
      readdir(folder).then(
        (names) => names.filter((name) => name.endsWith('.json')).map((name) => join(folder, name)),
        () => [],
      ),
    ),
  );
  const added = split(environment.VK_ADD_DRIVER_FILES ?? '');
  return {
    manifests: [...added, ...found.flat()],
    looked: [`Vulkan drivers, *.json, in ${folders.join(', ')}`],
  };
}

function split(paths: string): string[] {
  return paths.split(':').filter((path) => path !== '');
}
