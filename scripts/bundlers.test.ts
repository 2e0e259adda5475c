// Every bundler of docs/bundlers.md builds and serves the examples of that page, as they stand there,
// with the packages as npm would install them.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingChromium } from '../apps/playground/test/chromium.ts';
import { launch } from '../apps/playground/test/harness.ts';
import { openPage } from '../apps/playground/test/watched-page.ts';
import { type PackedProject, packProject, root } from './testing/packed-project.ts';
import { type StaticServer, serveFolder } from './testing/static-server.ts';

const absent = missingChromium();
const skipped = absent ? `, skipped: ${absent}` : '';
const page = readFileSync(join(root, 'docs', 'bundlers.md'), 'utf8');

/** Examples of the page that name their file: name → text. */
const examples = new Map(
  [...page.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)].map(([, name = '', text = '']) => [
    name,
    text,
  ]),
);

const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const policy = (workers: string) => ({
  'Content-Security-Policy': `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src ${workers}`,
});

// Where there is one core, there is one thread.
const manyThreads = new RegExp(`^${Math.min(64, availableParallelism())} threads: 0.5\\s*$`);
const oneThread = /^1 threads: 0.5\s*$/;

let project: PackedProject;

beforeAll(async () => {
  project = await packProject(['vite', 'webpack', 'esbuild']);
  for (const [name, text] of examples) writeFileSync(join(project.folder, name), text);
  // A browser asks for it by itself.
  mkdirSync(join(project.folder, 'public'));
  writeFileSync(join(project.folder, 'public', 'favicon.ico'), '');
}, 60_000);

afterAll(() => project.remove());

const versionOf = (name: string): string =>
  JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;

it('the page about bundlers names the versions that are tested', () => {
  for (const [name, as] of [
    ['vite', 'Vite'],
    ['webpack', 'webpack'],
    ['esbuild', 'esbuild'],
  ] as const) {
    expect(page).toMatch(new RegExp(`${as} ${versionOf(name)}`));
  }
});

it('runs in Node from a single file of esbuild, with nothing beside it', async () => {
  await project.node('esbuild-node.js');
  mkdirSync(join(project.folder, 'alone'));
  renameSync(
    join(project.folder, 'esbuild', 'node.mjs'),
    join(project.folder, 'alone', 'node.mjs'),
  );
  expect(await project.node(join('alone', 'node.mjs'))).toMatch(manyThreads);
});

describe.skipIf(absent)(`in Chromium${skipped}`, () => {
  let browser: Browser;
  let vite: ViteDevServer;
  const servers: StaticServer[] = [];

  /** What a page shows in the end; everything that it complains about is an error. */
  async function shownBy(url: string): Promise<string> {
    const watched = await openPage(browser, url);
    try {
      const output = watched.page.locator('output', { hasText: /./ });
      await output.waitFor({ timeout: 20_000 }).catch((error: unknown) => {
        throw new Error(`${url} shows nothing: ${watched.complaints.join('\n') || error}`);
      });
      expect(watched.complaints).toEqual([]);
      return (await output.textContent()) ?? '';
    } finally {
      await watched.close();
    }
  }

  /** The same files from a host that sends these headers. */
  async function host(headers: Readonly<Record<string, string>>): Promise<string> {
    const server = await serveFolder(project.folder, headers);
    servers.push(server);
    return server.url;
  }

  beforeAll(async () => {
    const webpack = `
      import webpack from 'webpack';
      import config from './webpack.config.js';
      // It takes longer than all else here together, and what is not minimized is large.
      config.optimization = { minimize: false };
      config.performance = { hints: false };
      const stats = await new Promise((resolve, reject) =>
        webpack(config, (error, stats) => (error ? reject(error) : resolve(stats))));
      const { errors, warnings } = stats.toJson();
      if (errors.length + warnings.length > 0) throw new Error(stats.toString());`;
    const viteScript = join('node_modules', 'vite', 'bin', 'vite.js');
    [browser] = await Promise.all([
      launch([]),
      project.node(viteScript, 'build', '--base', './', '--logLevel', 'warn'),
      project.node('--input-type=module', '--eval', webpack),
      project.node('esbuild.js'),
    ]);
  }, 120_000);

  afterAll(async () => {
    await Promise.all([
      browser?.close(),
      vite?.close(),
      ...servers.map((server) => server.close()),
    ]);
  });

  it("Vite's development server needs no configuration but headers for threads", async () => {
    const complaints: string[] = [];
    vite = await createServer({
      root: project.folder,
      mode: 'development',
      server: { port: 0, watch: null },
      customLogger: {
        info() {},
        clearScreen() {},
        warn: (message) => complaints.push(message),
        warnOnce: (message) => complaints.push(message),
        error: (message) => complaints.push(message),
        hasErrorLogged: () => false,
        hasWarned: false,
      },
    });
    await vite.listen();
    expect(await shownBy(vite.resolvedUrls?.local[0] ?? '')).toMatch(manyThreads);
    expect(complaints).toEqual([]);
  }, 60_000);

  it.each([
    ["Vite's build", 'dist/index.html'],
    ['webpack', 'webpack.html'],
    ['esbuild', 'esbuild.html'],
    ['no bundler', 'no-bundler.html'],
  ])('%s: with threads where the page is isolated, with one elsewhere', async (_name, path) => {
    expect(await shownBy(`${await host(isolation)}${path}`)).toMatch(manyThreads);
    expect(await shownBy(`${await host({})}${path}`)).toMatch(oneThread);
  });

  it('a policy that allows workers from files is enough for builds that know assets', async () => {
    const url = await host(policy("'self'"));
    expect(await shownBy(`${url}dist/index.html`)).toMatch(oneThread);
    expect(await shownBy(`${url}webpack.html`)).toMatch(oneThread);
  });

  it.each([
    ['forbids its workers', policy("'self'"), /its worker threads do not start.*worker-src blob:/],
    [
      'forbids WebAssembly',
      // Workers are allowed: which of two things that are forbidden is met first is a matter of time.
      { 'Content-Security-Policy': "script-src 'self'; worker-src 'self' blob:" },
      /its kernels do not compile.*'wasm-unsafe-eval'/,
    ],
  ])('says what to do where the policy of the page %s', async (_what, headers, message) => {
    const { page, close } = await openPage(browser, 'about:blank');
    const error = page.waitForEvent('pageerror');
    await page.goto(`${await host(headers)}esbuild.html`);
    expect((await error).message).toMatch(message);
    await close();
  });

  it.each([
    [
      'the kernels',
      /cpu-(plain|relaxed)-/,
      /its kernels cannot be loaded.*The server did not give a module .*docs\/bundlers\.md/,
    ],
    [
      'a backend',
      /\/cpu-\w{8}\.js/,
      /its module does not load.*The server did not give this part .*docs\/bundlers\.md/,
    ],
  ])('says what to do where a server answers a page for %s', async (_what, module, message) => {
    const { page, close } = await openPage(browser, 'about:blank');
    await page.route(module, (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html>' }),
    );
    const error = page.waitForEvent('pageerror');
    await page.goto(`${await host({})}esbuild.html`);
    expect((await error).message).toMatch(message);
    await close();
  });
});
