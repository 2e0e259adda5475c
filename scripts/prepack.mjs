// Before `flash-mla` is packed: puts those pages of docs/ into it that its users need. They link to
// nothing outside of the package.
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './workspace.mjs';

const target = join(root, 'packages', 'flash-mla', 'docs');
mkdirSync(target, { recursive: true });
for (const page of ['api.md', 'bundlers.md']) cpSync(join(root, 'docs', page), join(target, page));
