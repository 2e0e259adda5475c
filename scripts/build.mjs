// Builds everything that is not in the repository: the WebAssembly kernels and the JavaScript of
// each package. The stamp it leaves tells `npm start` and `npm test` that nothing is stale.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, tool } from './workspace.mjs';

tool('typescript/bin/tsc', ['-b']);
const wasm = join(root, 'packages', 'flash-mla', 'assembly', 'build.mjs');
if (existsSync(wasm)) run(process.execPath, [wasm]);
writeFileSync(join(root, 'node_modules', '.flash-mla-build'), '');
