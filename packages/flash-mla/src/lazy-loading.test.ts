import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** These look at the built package, as a user gets it. */
const packageRoot = new URL('../', import.meta.url);
const dist = new URL('dist/', packageRoot);
const entry = new URL('index.js', dist);

/** Modules of `src` that went into built files, by their source maps. */
function sourcesOf(files: readonly URL[]): string[] {
  const built = files.filter((file) => file.href.startsWith(dist.href));
  return built.flatMap((file) => {
    const map = JSON.parse(readFileSync(`${fileURLToPath(file)}.map`, 'utf8')) as SourceMap;
    const paths = map.sources.map((source) => new URL(source, file).href);
    return paths.map((path) => path.slice(new URL('src/', packageRoot).href.length));
  });
}

interface SourceMap {
  readonly sources: readonly string[];
}

/** Imports the package in a fresh process and reports all modules, addons, WebAssembly and workers. */
const probe = `
import { register, syncBuiltinESMExports } from 'node:module';
import workers from 'node:worker_threads';

const seen = { modules: [], addons: 0, webAssembly: 0, workers: 0 };
const { port1, port2 } = new workers.MessageChannel();
port1.on('message', (url) => seen.modules.push(url));
const hooks = \`
  let port;
  export function initialize(data) { port = data.port; }
  export async function load(url, context, next) {
    port.postMessage(url);
    return next(url, context);
  }
\`;
register('data:text/javascript,' + encodeURIComponent(hooks), {
  data: { port: port2 },
  transferList: [port2],
});
const count = (target, name, key) => {
  const original = target[name];
  target[name] = function (...args) {
    seen[key]++;
    return new.target ? new original(...args) : original.apply(this, args);
  };
};
count(process, 'dlopen', 'addons');
for (const name of ['compile', 'compileStreaming', 'instantiate', 'Module', 'Instance']) {
  if (WebAssembly[name]) count(WebAssembly, name, 'webAssembly');
}
count(workers, 'Worker', 'workers');
syncBuiltinESMExports();

const api = await import(process.argv[1]);
seen.exports = Object.keys(api).length;
await new Promise((resolve) => setTimeout(resolve, 50));
port1.close();
console.log(JSON.stringify(seen));
`;

interface Seen {
  readonly modules: string[];
  readonly addons: number;
  readonly webAssembly: number;
  readonly workers: number;
  readonly exports: number;
}

function importInFreshProcess(url: URL): Seen {
  const args = ['--input-type=module', '--eval', probe, url.href];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Seen;
}

/** Specifiers that a compiled module names: dynamic imports and worker scripts included. */
function specifiers(code: string): string[] {
  const pattern =
    /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*(?=['"][^'"\n]+\.js['"]))['"]([^'"\n]+)['"]/g;
  const withoutComments = code.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return [...withoutComments.matchAll(pattern)].map((match) => match[1] as string);
}

type Target = string | { readonly [condition: string]: Target };

/** What a browser's bundler takes: never the `source` or `node` condition. */
function forBrowsers(target: Target | undefined): string | undefined {
  if (typeof target !== 'object') return target;
  for (const [condition, inner] of Object.entries(target)) {
    if (['browser', 'import', 'default'].includes(condition)) return forBrowsers(inner);
  }
  return undefined;
}

/** Where a bare specifier of a module leads in a browser; undefined where it leaves the workspace. */
function browserModule(specifier: string, importer: URL): URL | undefined {
  const workspace = new URL('../', packageRoot);
  const owner = importer.href.slice(workspace.href.length).split('/')[0];
  const [name = '', ...rest] = specifier.startsWith('#')
    ? [owner, specifier]
    : (/^@flash-mla\/([^/]+)(.*)$/.exec(specifier)?.slice(1) ?? []);
  if (name === '') return undefined;
  const folder = new URL(`${name}/`, workspace);
  const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as {
    imports?: Record<string, Target>;
    exports: Record<string, Target>;
  };
  const key = rest.join('');
  const table = key.startsWith('#') ? manifest.imports : manifest.exports;
  const target = forBrowsers(table?.[key.startsWith('#') ? key : `.${key}`]);
  if (target === undefined)
    throw new Error(`${importer.href}: ${specifier} leads nowhere in a browser`);
  return new URL(target, folder);
}

/** Everything that can be reached from the package's doors in a browser: module → its bare specifiers. */
function browserGraph(): Map<string, string[]> {
  const bare = new Map<string, string[]>();
  const visit = (url: URL) => {
    if (bare.has(url.href)) return;
    const external: string[] = [];
    bare.set(url.href, external);
    for (const specifier of specifiers(readFileSync(url, 'utf8'))) {
      const inner = specifier.startsWith('.')
        ? new URL(specifier, url)
        : browserModule(specifier, url);
      if (inner === undefined) external.push(specifier);
      else visit(inner);
    }
  };
  for (const door of [entry, new URL('ops/cases.js', dist), new URL('ops/reference.js', dist)]) {
    visit(door);
  }
  return bare;
}

describe('the built package', () => {
  it('is there (npm test and npm run build make it)', () => {
    expect(existsSync(fileURLToPath(entry))).toBe(true);
  });

  it('loads no backend, WebAssembly, addon or worker when imported', () => {
    const seen = importInFreshProcess(entry);
    expect(seen.exports).toBeGreaterThan(20);
    const own = seen.modules.filter((url) => url.startsWith(dist.href));
    expect(own).toContain(entry.href);
    const sources = sourcesOf(own.map((url) => new URL(url)));
    expect(sources).toContain('ops/attention/api/flash-mla-with-kv-cache.ts');
    expect(sources).toContain('runtime/device/registry.ts');
    for (const path of sources) {
      expect(path).not.toMatch(
        /^command\/|^runtime\/(cpu|cuda|sim|webgpu|platform)\/|\/(bench|conformance|reference)\//,
      );
    }
    const foreign = seen.modules.filter((url) => !url.startsWith(dist.href));
    expect(foreign).toEqual([new URL('../core/dist/index.js', packageRoot).href]);
    expect([seen.addons, seen.webAssembly, seen.workers]).toEqual([0, 0, 0]);
  });

  it('is three files to import, because each costs time', () => {
    const seen = importInFreshProcess(entry);
    const packages = new URL('../', packageRoot).href;
    expect(seen.modules.map((url) => url.slice(packages.length))).toEqual([
      'flash-mla/dist/index.js',
      'core/dist/index.js',
      'flash-mla/dist/chunks/core.js',
    ]);
  });

  it('keeps each module importable by its path, once', async () => {
    const device = (await import(new URL('runtime/device/device.js', dist).href)) as object;
    const index = (await import(entry.href)) as object;
    for (const [name, value] of Object.entries(device)) {
      if (name in index) expect(index[name as keyof object]).toBe(value);
    }
    expect(Object.keys(device)).toContain('Device');
  });

  it('notices what loads (the probe itself is tested)', () => {
    const code = `
      import { Worker } from 'node:worker_threads';
      import 'node:fs';
      await WebAssembly.compile(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
      const worker = new Worker('', { eval: true });
      await worker.terminate();
      try { process.dlopen({ exports: {} }, '/nowhere.node'); } catch {}
      export const a = 1;
    `;
    const seen = importInFreshProcess(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    expect([seen.addons, seen.webAssembly, seen.workers]).toEqual([1, 1, 1]);
    expect(seen.modules).toContain('node:fs');
  });

  it('reaches no node: module in a browser, through dynamic imports neither', () => {
    const graph = browserGraph();
    const sources = sourcesOf([...graph.keys()].map((href) => new URL(href)));
    expect(sources).toContain('runtime/platform/browser.ts');
    const files = new URL('../safetensors/dist/files/browser.js', packageRoot);
    expect([...graph.keys()]).toContain(files.href);
    expect(sources).toContain('runtime/cpu/index.ts');
    expect(sources).toContain('runtime/cpu/worker.ts');
    const embedded = [...graph.keys()].filter(
      (href) => href.startsWith(packageRoot.href) && !href.startsWith(dist.href),
    );
    expect(embedded.map((href) => href.slice(packageRoot.href.length)).sort()).toEqual([
      'wasm/cpu-plain.js',
      'wasm/cpu-relaxed.js',
      'wasm/cpu-worker.js',
    ]);
    const offenders = [...graph].filter(([, bare]) =>
      bare.some((name) => name.startsWith('node:')),
    );
    expect(offenders).toEqual([]);
  });

  it('finds every form of import (the walk itself is tested)', () => {
    const code = `
      import 'a'; import b from "b"; import { c } from 'c'; export * from 'd';
      export { e } from 'e'; const f = () => import('f'); import * as g from 'g';
      // import 'no'
      /* import 'no' */
      import {
        h,
      } from 'h';
      new Worker(new URL('./i.js', import.meta.url)); new URL('no.wasm', import.meta.url);
    `;
    expect(specifiers(code)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', './i.js']);
  });
});
