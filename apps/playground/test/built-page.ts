import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preview } from 'vite';

const app = fileURLToPath(new URL('..', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));

export interface BuiltPage {
  readonly url: string;
  /** The same files from a host that sends no header about isolation and no policy. */
  readonly plainUrl: string;
  close(): Promise<void>;
}

/** What a browser assumes where a host says nothing. */
const plainHeaders = {
  'Content-Security-Policy': '',
  'Cross-Origin-Opener-Policy': 'unsafe-none',
  'Cross-Origin-Embedder-Policy': 'unsafe-none',
};

/** Builds the page as it is shipped and serves it. */
export async function serveBuiltPage(): Promise<BuiltPage> {
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
  const serve = (headers: Record<string, string>) =>
    preview({
      root: app,
      configFile: join(app, 'vite.config.ts'),
      logLevel: 'error',
      build: { outDir },
      preview: { port: 0, headers },
    });
  const [server, plain] = await Promise.all([serve({}), serve(plainHeaders)]);
  const [url, plainUrl] = [server, plain].map(({ resolvedUrls }) => resolvedUrls?.local[0]);
  if (!url || !plainUrl) throw new Error('The preview server has no address.');
  return {
    url,
    plainUrl,
    async close() {
      await Promise.all([server.close(), plain.close()]);
      rmSync(outDir, { recursive: true, force: true });
    },
  };
}
