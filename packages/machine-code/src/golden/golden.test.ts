import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { formsOf } from '../encode/select.ts';
import type { Forms } from '../instructions/signature.ts';
import { groups, table } from '../instructions/table.ts';
import { goldenCases, goldenFileName, groupNames, parseGoldenFile } from './index.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));

describe('encodings', () => {
  it.each(groupNames)('%s: every form gives the bytes that GNU as gave', (group) => {
    const known = parseGoldenFile(readFileSync(`${folder}${goldenFileName(group)}`, 'utf8'));
    const made = goldenCases(group);
    expect(made.length).toBeGreaterThan(0);
    expect(made).toEqual(known);
  });

  it('have no file left over', () => {
    const files = readdirSync(folder).filter((name) => name.endsWith('.golden.json'));
    expect(files.sort()).toEqual(groupNames.map(goldenFileName).sort());
  });

  it('belong to mnemonics that stand in one group', () => {
    const all = Object.values(groups).flatMap((group) => Object.keys(group));
    expect(all.length).toBe(Object.keys(table).length);
    expect(all.length).toBeGreaterThan(400);
  });

  it('come from entries that can be read, each form once', () => {
    for (const [mnemonic, entry] of Object.entries<Forms>(table)) {
      const texts = formsOf(entry).map(({ text }) => text);
      expect(new Set(texts).size, mnemonic).toBe(texts.length);
    }
  });
});
