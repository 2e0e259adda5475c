// What only whole processes can tell: the cost of the import, and memory.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { root } from '../../scripts/workspace.mjs';
import { median } from './timing.mjs';

function node(args) {
  const begin = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root });
  if (status !== 0) throw new Error(`node ${args.join(' ')}: ${stderr}`);
  return { milliseconds: performance.now() - begin, stdout: stdout.toString() };
}

/** Median of whole processes, in turn: one that does nothing, one that imports the library. */
export function importOverhead(runs = 25) {
  const bare = [];
  const importing = [];
  for (let i = 0; i <= runs; i++) {
    const nothing = node(['-e', '0']).milliseconds;
    const library = node(['--input-type=module', '-e', "import 'flash-mla'"]).milliseconds;
    // The first pair fills the file system's cache.
    if (i === 0) continue;
    bare.push(nothing);
    importing.push(library);
  }
  return { bare: median(bare), importing: median(importing) };
}

/** Bytes beyond inputs and outputs of a dense decode. */
export function memoryBeyond() {
  const script = fileURLToPath(new URL('memory-child.mjs', import.meta.url));
  return JSON.parse(node([script]).stdout);
}
