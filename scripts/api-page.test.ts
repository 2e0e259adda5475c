import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = ['api.md', 'operations.md']
  .map((name) => readFileSync(join(root, 'docs', name), 'utf8'))
  .join('\n');
const source = join(root, 'packages', 'flash-mla', 'src');

/** Names that a module exports by name, types included, and those of the modules that it hands on whole. */
function exportsOf(path: string): string[] {
  const code = readFileSync(path, 'utf8');
  const lists = [...code.matchAll(/^export (?:type )?\{([^}]*)\}/gms)].map(
    ([, list]) => list ?? '',
  );
  const whole = [...code.matchAll(/^export \* from '(\.[^']+)'/gm)].map(([, file = '']) => file);
  return [
    ...lists.flatMap((list) => list.match(/\b(?!type\b)\w+/g) ?? []),
    ...whole.flatMap((file) => exportsOf(join(dirname(path), file))),
  ];
}

it('the pages of the reference name everything that the package exports', () => {
  const names = exportsOf(join(source, 'index.ts'));
  expect(names).toEqual(
    expect.arrayContaining(['flashMlaWithKvCache', 'DeviceListing', 'Tensor', 'rmsNorm']),
  );
  const missing = names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page));
  expect(missing).toEqual([]);
});
