// What every root script needs: run a command, and bring a fresh clone to the point where the built
// packages exist. Uses Node alone, since it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command in the root; on failure ends this process with the command's exit code. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
  return result;
}

/** Runs one of the installed tools by its JavaScript entry, so that no shell wrapper is needed. */
export function tool(path, args, options) {
  return run(process.execPath, [join(root, 'node_modules', path), ...args], options);
}

function newest(dir, skip = new Set(['node_modules', 'dist', 'out', 'wasm'])) {
  let time = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (skip.has(entry.name)) continue;
    const path = join(dir, entry.name);
    time = Math.max(time, entry.isDirectory() ? newest(path, skip) : statSync(path).mtimeMs);
  }
  return time;
}

const mtime = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** Installs the dependencies when the lock file is newer than what is installed. */
export function ensureInstalled() {
  const stamp = join(root, 'node_modules', '.package-lock.json');
  if (mtime(stamp) >= mtime(join(root, 'package-lock.json'))) return;
  const npm = process.env.npm_execpath;
  // Not `npm ci`: it refuses a lock file without the optional packages of other platforms, and a
  // registry need not have all of those. The lock file decides the versions and stays as it is.
  const args = ['install', '--no-save', '--no-audit', '--no-fund'];
  // stdout belongs to the command that follows (`--json`), so npm's own words go to stderr.
  const options = { stdio: ['ignore', 2, 2] };
  if (npm) run(process.execPath, [npm, ...args], options);
  else run('npm', args, { ...options, shell: process.platform === 'win32' });
}

/** Builds when a source is newer than the last complete build. */
export function ensureBuilt() {
  const stamp = join(root, 'node_modules', '.flash-mla-build');
  const sources = Math.max(
    newest(join(root, 'packages')),
    mtime(join(root, 'tsconfig.base.json')),
    mtime(join(root, 'scripts', 'build.mjs')),
    mtime(join(root, 'scripts', 'bundle.mjs')),
  );
  if (mtime(stamp) > sources) return;
  run(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: ['ignore', 2, 2] });
}
