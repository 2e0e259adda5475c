import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Debian's chromium package brings this Vulkan driver, which runs on any CPU. */
const driver = '/usr/lib/chromium/vk_swiftshader_icd.json';

const loaders = ['/usr/lib', '/lib', '/usr/lib64', '/usr/local/lib']
  .flatMap((folder) => [folder, `${folder}/x86_64-linux-gnu`, `${folder}/aarch64-linux-gnu`])
  .map((folder) => join(folder, 'libvulkan.so.1'));

/**
 * Makes SwiftShader the Vulkan driver of this process. Returns why it cannot be, unless
 * `FLASH_MLA_REQUIRE` names chromium (as in CI): then its absence is an error.
 */
export function useSwiftShader(): string | undefined {
  const missing = [
    !existsSync(driver) && `${driver} (apt-get install chromium)`,
    !loaders.some((path) => existsSync(path)) && 'libvulkan.so.1 (apt-get install libvulkan1)',
  ].filter((reason) => reason !== false);
  if (missing.length > 0) {
    const reason = `there is no ${missing.join(' and no ')}`;
    if (process.env.FLASH_MLA_REQUIRE?.includes('chromium')) throw new Error(reason);
    return reason;
  }
  process.env.VK_ICD_FILENAMES = driver;
  const runtime = join(tmpdir(), 'flash-mla-xdg');
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  process.env.XDG_RUNTIME_DIR ??= runtime;
  return undefined;
}
