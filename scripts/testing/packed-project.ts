import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** What is published, and where it lives here. */
export const publishedPackages = {
  'flash-mla': 'flash-mla',
  '@flash-mla/core': 'core',
  '@flash-mla/engine': 'engine',
  '@flash-mla/machine-code': 'machine-code',
  '@flash-mla/models': 'models',
  '@flash-mla/ptx': 'ptx',
  '@flash-mla/safetensors': 'safetensors',
  '@flash-mla/server': 'server',
} as const;

/** What they depend on. */
const dependencies = [
  '@hono/node-server',
  '@huggingface/jinja',
  '@huggingface/tokenizers',
  '@mlc-ai/web-xgrammar',
  '@noble/hashes',
  'commander',
  'hono',
  'koffi',
  'picocolors',
  'pino',
  'prom-client',
  'zod',
];

const runFile = promisify(execFile);

/** A folder outside the repository in which the packages are installed from their archives. */
export interface PackedProject {
  readonly folder: string;
  /** Runs a program in the folder; rejects, with what it printed, where it fails. */
  node(...args: string[]): Promise<string>;
  remove(): void;
}

/**
 * Packs every package as `npm publish` would and unpacks it into a project of its own. What the packages
 * depend on, and the `tools` of the project, are links to what is installed here.
 */
export async function packProject(tools: readonly string[] = []): Promise<PackedProject> {
  const folder = mkdtempSync(join(tmpdir(), 'flash-mla-package-'));
  const modules = join(folder, 'node_modules');
  const install = async ([name, source]: [string, string]) => {
    const target = join(modules, name);
    mkdirSync(target, { recursive: true });
    const { stdout } = await runFile('npm', ['pack', '--silent', '--pack-destination', folder], {
      cwd: join(root, 'packages', source),
      shell: process.platform === 'win32',
    });
    const archive = join(folder, stdout.trim().split('\n').at(-1) ?? '');
    await runFile('tar', ['-xzf', archive, '-C', target, '--strip-components=1']);
    rmSync(archive);
  };
  await Promise.all(Object.entries(publishedPackages).map(install));
  for (const name of [...dependencies, ...tools]) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  return {
    folder,
    async node(...args) {
      // The test runner's own NODE_ENV would make builds for development.
      const { NODE_ENV: _runner, VITEST: _vitest, ...env } = process.env;
      const { stdout } = await runFile(process.execPath, args, { cwd: folder, env });
      return stdout;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
