import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs', 'api.md'), 'utf8');

/** Names that a module exports by name, types included. */
function exportsOf(path: string): string[] {
  const code = readFileSync(join(root, 'packages', 'flash-mla', 'src', path), 'utf8');
  const lists = [...code.matchAll(/^export (?:type )?\{([^}]*)\}/gms)].map(
    ([, list]) => list ?? '',
  );
  return lists.flatMap((list) => list.match(/\b(?!type\b)\w+/g) ?? []);
}

it('the reference names everything that the package exports', () => {
  const names = [...exportsOf('index.ts'), ...exportsOf(join('api', 'index.ts'))];
  expect(names).toEqual(expect.arrayContaining(['flashMlaWithKvCache', 'DeviceListing', 'Tensor']));
  const missing = names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page));
  expect(missing).toEqual([]);
});
