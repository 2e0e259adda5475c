import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preview } from 'vite';

const app = fileURLToPath(new URL('..', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Builds the page as it is shipped and serves it. */
export async function serveBuiltPage(): Promise<{ url: string; close(): Promise<void> }> {
  const outDir = join(root, 'node_modules', '.cache', 'flash-mla-playground', String(process.pid));
  // A process of its own: the test runner's NODE_ENV would make it a development build.
  execFileSync(
    process.execPath,
    [
      join(root, 'node_modules', 'vite', 'bin', 'vite.js'),
      'build',
      '--logLevel',
      'warn',
      '--emptyOutDir',
      '--outDir',
      outDir,
    ],
    { cwd: app, env: { ...process.env, NODE_ENV: 'production' }, stdio: 'inherit' },
  );
  const server = await preview({
    root: app,
    configFile: join(app, 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir },
    preview: { port: 0 },
  });
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error('The preview server has no address.');
  return {
    url,
    async close() {
      await server.close();
      rmSync(outDir, { recursive: true, force: true });
    },
  };
}
