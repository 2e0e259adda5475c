// `npm start`: the main job of a fresh clone. Installs and builds what is missing, then runs the
// `flash-mla` command with the given arguments (`demo` when there are none).
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './workspace.mjs';

ensureInstalled();
ensureBuilt();
const args = process.argv.slice(2);
run(process.execPath, [
  join(root, 'packages', 'flash-mla', 'bin', 'flash-mla.js'),
  ...(args.length > 0 ? args : ['demo']),
]);
