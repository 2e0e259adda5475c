// Builds everything that is not in the repository: the WebAssembly kernels and the JavaScript of
// each package. The stamp it leaves tells `npm start` and `npm test` that nothing is stale.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { embedNative } from './embed-native.mjs';
import { root, run, tool } from './workspace.mjs';

const library = join(root, 'packages', 'flash-mla');
/** Packages that `flash-mla` uses and a program may load with it, each after those that it uses itself. */
const parts = ['core', 'safetensors', 'engine', 'models'].map((name) =>
  join(root, 'packages', name),
);
// The compiler remembers what it wrote, not whether it is still there.
const isWhole = [...parts, library].every((folder) => existsSync(join(folder, 'out', 'index.js')));
tool('typescript/bin/tsc', ['-b', ...(isWhole ? [] : ['--force'])]);
for (const folder of parts) await bundle(folder, { doorsOnly: true });
await bundle(library);
await embedNative(library);
run(process.execPath, [join(library, 'assembly', 'build.mjs')]);
writeFileSync(join(root, 'node_modules', '.flash-mla-build'), '');
