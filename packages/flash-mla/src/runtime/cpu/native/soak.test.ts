import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../../../../../bench/soak.mjs', import.meta.url));

// `node --expose-gc bench/soak.mjs` alone makes 100,000 calls.
it('gives the same bits to many callers while others open, close and collect', () => {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', script, '--seconds', '4', '--calls', '5000'],
    { encoding: 'utf8', timeout: 50_000 },
  );
  expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  const { calls, different, devices, rssHalfway, rssEnd } = JSON.parse(stdout);
  expect(different).toBe(0);
  expect(Math.min(calls, devices)).toBeGreaterThan(0);
  // A device's memory, with its copies of the problems, would be more.
  expect(rssEnd - rssHalfway).toBeLessThan(100e6);
});
