import { describe, expect, it } from 'vitest';
import { colorsFor } from './colors.ts';
import { byteSize, percent, scientific, significant } from './numbers.ts';
import { progressLine, startProgress } from './progress.ts';
import { formatTable } from './table.ts';

describe('formatTable', () => {
  it('aligns by what is seen, not by colour codes', () => {
    const green = colorsFor(true, { TERM: 'xterm' }).green;
    const columns = [{ title: 'case' }, { title: 'µs', align: 'right' as const }];
    const rows = [
      ['a', green('7')],
      ['longer', '1234'],
    ];
    expect(formatTable(columns, rows)).toBe(
      ['case      µs', '──────  ────', `a          ${green('7')}`, 'longer  1234', ''].join('\n'),
    );
  });

  it('keeps the head where there are no rows', () => {
    expect(formatTable([{ title: 'one' }], [])).toBe('one\n───\n');
  });
});

describe('progress', () => {
  it('draws shares and never more than the terminal is wide', () => {
    expect(progressLine(1, 2, 'x', 80)).toBe(`${'█'.repeat(12)}${'░'.repeat(12)}  1/2  x`);
    expect(progressLine(5, 0, '', 80)).toContain('░'.repeat(24));
    expect(progressLine(1, 2, 'a long label'.repeat(20), 40)).toHaveLength(39);
  });

  it('clears its line, and writes nothing where nobody watches', () => {
    const written: string[] = [];
    const stream = { columns: 80, write: (text: string) => written.push(text) };
    const progress = startProgress(stream);
    progress.update(0, 2, 'a');
    progress.update(0, 2, 'a');
    progress.stop();
    progress.stop();
    expect(written).toHaveLength(2);
    expect(written[1]).toBe('\r\x1b[2K');
    startProgress(undefined).update(0, 2, 'a');
  });
});

describe('numbers', () => {
  it('keeps about three digits', () => {
    const values = [0, 0.00123, 0.123, 7.346, 73.46, 734.6, 20412.4, -7.346];
    expect(values.map(significant)).toEqual([
      '0',
      '0.0012',
      '0.12',
      '7.35',
      '73.5',
      '735',
      '20412',
      '-7.35',
    ]);
    expect([Number.NaN, Infinity, -Infinity].map(significant)).toEqual(['NaN', '∞', '−∞']);
  });

  it('writes errors, sizes and shares', () => {
    expect([scientific(0), scientific(3.14e-4)]).toEqual(['0', '3.1e-4']);
    expect([0, 512, 1536, 2 ** 21, 260 * 2 ** 20].map(byteSize)).toEqual([
      '0 B',
      '512 B',
      '1.5 KiB',
      '2 MiB',
      '260 MiB',
    ]);
    expect(percent(0.634)).toBe('63 %');
  });
});

describe('colorsFor', () => {
  it.each([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '1' }, false],
    [true, { NO_COLOR: '' }, true],
    [false, { FORCE_COLOR: '1' }, true],
    [true, { FORCE_COLOR: '0' }, true],
    [false, { FORCE_COLOR: '1', NO_COLOR: '1' }, false],
    [true, { TERM: 'dumb' }, false],
  ])('terminal %s, %j: %s', (isTerminal, env, expected) => {
    expect(colorsFor(isTerminal, env).isColorSupported).toBe(expected);
  });
});
