// Installs the peers on first use, beside the project's own dependencies but not among them: nobody
// but this benchmark needs their 400 MB.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../../scripts/workspace.mjs';

export const peers = { 'onnxruntime-web': '1.30.0', 'onnxruntime-node': '1.30.0' };

// A folder each: both of ONNX Runtime register themselves with onnxruntime-common, and sharing one copy of it makes
// onnxruntime-node run in WebAssembly.
const folderOf = (name) => join(root, 'node_modules', '.cache', 'flash-mla-peers', name);

export function installPeers() {
  for (const [name, version] of Object.entries(peers)) install(name, version);
}

/** @param others what it has to have beside it: name → version */
export function install(name, version, others = {}) {
  const folder = folderOf(name);
  const manifest = join(folder, 'node_modules', name, 'package.json');
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version)
    return;
  console.error(`Installing ${name} …`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, type: 'module', dependencies: { [name]: version, ...others } }),
  );
  // Their install scripts fetch GPU libraries; the processor's come with the package.
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  if (Object.keys(others).length > 0) args.push('--omit=optional');
  const { status } = spawnSync('npm', args, {
    cwd: folder,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) throw new Error(`npm could not install ${name}`);
}

/** Loads a peer, as an import from its own folder. */
export async function importPeer(name) {
  const path = createRequire(join(folderOf(name), 'index.js')).resolve(name);
  const module = await import(pathToFileURL(path).href);
  return module.InferenceSession || !module.default ? module : module.default;
}
