import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectMaca } from './maca.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'maca-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(path: string, text = ''): void {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, text);
}

describe('inspectMaca', () => {
  it('finds an installation that MACA_PATH names', () => {
    put('maca/lib/libmcruntime.so');
    put('maca/mxgpu_llvm/bin/mxcc');
    put('maca/Version.txt', 'Version:3.3.0.15\n');
    put('mxcd');
    const report = inspectMaca({
      env: { MACA_PATH: join(folder, 'maca') },
      deviceNode: join(folder, 'mxcd'),
    });
    expect(report).toMatchObject({ found: true, version: '3.3.0.15' });
    expect(report.looked.map(({ found }) => found)).toEqual([true, true, true, true]);
    expect(report.advice).toMatch(/cpu backend/);
  });

  it('finds one in the default folder, with its library in lib64 and no version', () => {
    put('opt/maca/lib64/libmcruntime.so');
    const report = inspectMaca({
      env: {},
      defaultRoot: join(folder, 'opt/maca'),
      deviceNode: join(folder, 'mxcd'),
    });
    expect(report).toMatchObject({ found: true, version: undefined });
    expect(report.looked.at(-1)).toMatchObject({ what: 'device node', found: false });
  });

  it('says where it looked where there is none', () => {
    const report = inspectMaca({
      env: {},
      defaultRoot: join(folder, 'no'),
      deviceNode: '/no/mxcd',
    });
    expect(report.found).toBe(false);
    expect(report.looked.map(({ path }) => path)).toEqual([join(folder, 'no'), '/no/mxcd']);
    expect(report.advice).toMatch(/set MACA_PATH/);
  });

  it('tells a wrong MACA_PATH from a broken installation', () => {
    const wrong = inspectMaca({ env: { MACA_PATH: join(folder, 'gone') } });
    expect(wrong.advice).toMatch(/correct it or unset it/);
    const broken = inspectMaca({ env: { MACA_PATH: folder } });
    expect(broken).toMatchObject({ found: false, advice: expect.stringMatching(/reinstall MACA/) });
  });
});
