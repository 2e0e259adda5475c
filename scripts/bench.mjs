// `npm run bench`: `-- peers` compares the CPU backend with ONNX Runtime (bench/peers.mjs), `-- native` its
// machine code with its WebAssembly (bench/native.mjs), `-- llama` a model with llama.cpp (bench/llama.mjs);
// anything else goes to `flash-mla bench`, the whole suite when nothing is given.
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, root, run } from './workspace.mjs';

ensureInstalled();
ensureBuilt();
const [first = 'suite', ...rest] = process.argv.slice(2);
if (['peers', 'native', 'llama'].includes(first)) {
  run(process.execPath, [join(root, 'bench', `${first}.mjs`), ...rest]);
} else {
  const command = join(root, 'packages', 'flash-mla', 'bin', 'flash-mla.js');
  run(process.execPath, [command, 'bench', first, ...rest]);
}
