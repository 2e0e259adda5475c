// Before `flash-mla` is packed: puts those pages of docs/ into it that its users need. They link to
// nothing outside of the package.
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './workspace.mjs';

const target = join(root, 'packages', 'flash-mla', 'docs');
mkdirSync(target, { recursive: true });
const pages = ['api.md', 'bundlers.md', 'decode-loop.md', 'packed-rows.md', 'streams.md'];
for (const page of pages) cpSync(join(root, 'docs', page), join(target, page));
