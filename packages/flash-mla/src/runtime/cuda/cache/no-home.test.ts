import { describe, expect, it, vi } from 'vitest';
import { findVulkanDrivers } from '../../platform/vulkan.ts';
import { openLibcuda } from '../libcuda/load.ts';
import { probeCuda } from '../open.ts';
import { StubLibrary, stubLoader } from '../testing/stub-library.ts';
import { cacheSettings } from './settings.ts';

let home: () => string;
vi.mock('node:os', async (original) => ({
  ...(await original<typeof import('node:os')>()),
  homedir: () => home(),
}));

describe.each([
  [
    'a user without an entry in the list of users',
    () => {
      throw Object.assign(new Error('A system error occurred: uv_os_homedir'), { code: 'ENOENT' });
    },
  ],
  ['an empty HOME', () => ''],
])('%s', (_, homedir) => {
  it('has no cache unless one is named, and cuda opens all the same', async () => {
    home = homedir;
    for (const platform of ['linux', 'darwin', 'win32']) {
      expect(cacheSettings({ platform, variables: {} }).directory).toBeUndefined();
    }
    const variables = { XDG_CACHE_HOME: '/x' };
    expect(cacheSettings({ platform: 'linux', variables }).directory).toBe('/x/flash-mla/cubin');
    const environment = { platform: 'linux', variables: {} };
    const driver = await openLibcuda(environment, stubLoader(new StubLibrary()));
    expect(probeCuda(driver)[0]?.details['kernel cache']).toMatch(/^off: the user has no home/);
  });

  it('has no Vulkan drivers of its own', async () => {
    home = homedir;
    const { looked } = await findVulkanDrivers({});
    expect(looked.join()).toContain('/usr/share/vulkan/icd.d');
    expect(looked.join()).not.toContain('.config');
  });
});
