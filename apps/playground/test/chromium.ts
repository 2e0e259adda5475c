import { existsSync } from 'node:fs';

const paths = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

export const chromiumPath = paths.find((path) => existsSync(path));

/**
 * Why there is no browser to test with; undefined where there is one. Where `FLASH_MLA_REQUIRE` names
 * chromium, as in CI, its absence is an error.
 */
export function missingChromium(): string | undefined {
  if (chromiumPath !== undefined) return undefined;
  const reason = `no Chromium at ${paths.join(', ')} (apt-get install chromium)`;
  if (process.env.FLASH_MLA_REQUIRE?.includes('chromium')) throw new Error(reason);
  return reason;
}

/** WebGPU on SwiftShader, which Chromium brings: slow, but it runs everywhere. */
export const swiftShader = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
];
