import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { CubinCache, cubinKey } from './cubin-cache.ts';

const script = fileURLToPath(new URL('../testing/fill-cache.mjs', import.meta.url));
// Child processes run what `npm test` has built.
const built = new URL('../../../../dist/runtime/cuda/cache/cubin-cache.js', import.meta.url).href;
const directory = mkdtempSync(join(tmpdir(), 'flash-mla-two-'));

afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('two processes that fill the cache at once both get whole entries', async () => {
  const run = () => promisify(execFile)(process.execPath, [script, built, directory, '60']);
  const outputs = await Promise.all([run(), run()]);
  for (const { stdout } of outputs) {
    const { whole, damaged } = JSON.parse(stdout) as { whole: number; damaged: number };
    expect(damaged).toBe(0);
    expect(whole).toBeGreaterThan(200);
  }
  expect(readdirSync(directory)).toHaveLength(4);
  const cache = new CubinCache({ directory, maxBytes: 2 ** 30 });
  expect(cache.read(cubinKey('kernel 3', ''))?.length).toBe(100_000);
});
