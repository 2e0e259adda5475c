// The random tests at full length: 1,000,000 operations on the KV cache, 10,000 requests in each mode of the
// engine. FLASH_MLA_FUZZ_SEED chooses other ones.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const env = { FLASH_MLA_FUZZ_KV: '1000000', FLASH_MLA_FUZZ_REQUESTS: '10000', ...process.env };
const args = [
  'run',
  'packages/engine/src',
  '-t',
  'random',
  '--maxWorkers=1',
  ...process.argv.slice(2),
];
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, ...args], {
  cwd: root,
  env,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
