import { describe, expect, it } from 'vitest';
import { byteSize, percent, scientific, significant } from '../../ops/bench/numbers.ts';
import { jsonText } from '../json.ts';
import { colorsFor } from './colors.ts';
import { printable, printableLines } from './printable.ts';
import { progressLine, startProgress } from './progress.ts';
import { formatTable } from './table.ts';
import { hanging, unbroken, wrapWords } from './wrap.ts';

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

  const wide = [
    { title: 'case' },
    { title: 'shapes', wraps: true },
    { title: 'of read rate', align: 'right' as const, dispensable: 2 },
    { title: 'µs', align: 'right' as const, dispensable: 1 },
  ];
  const row = ['dense', `${unbroken('q 1×2')}, ${unbroken('cache 3×4')}`, '7 %', '1234'];

  it('breaks titles, then cells, where the terminal is narrower', () => {
    expect(formatTable(wide, [row], { width: 45 })).toBe(
      [
        'case   shapes            of read rate    µs',
        '─────  ────────────────  ────────────  ────',
        'dense  q 1×2, cache 3×4           7 %  1234',
        '',
      ].join('\n'),
    );
    expect(formatTable(wide, [row], { width: 41 })).toBe(
      [
        'case   shapes            of read    µs',
        '                            rate',
        '─────  ────────────────  ───────  ────',
        'dense  q 1×2, cache 3×4      7 %  1234',
        '',
      ].join('\n'),
    );
    expect(formatTable(wide, [row], { width: 28 })).toBe(
      [
        'case   shapes       of    µs',
        '                  read',
        '                  rate',
        '─────  ─────────  ────  ────',
        'dense  q 1×2,      7 %  1234',
        '       cache 3×4',
        '',
      ].join('\n'),
    );
  });

  it('leaves out what it may where that is not enough, and says so', () => {
    expect(formatTable(wide, [row], { width: 24 })).toBe(
      [
        'case   shapes       of',
        '                  read',
        '                  rate',
        '─────  ─────────  ────',
        'dense  q 1×2,      7 %',
        '       cache 3×4',
        '(the terminal is too narrow for: µs)',
        '',
      ].join('\n'),
    );
    expect(formatTable(wide, [row], { width: 5 })).toMatch(/too narrow for: µs, of read rate\)/);
  });

  it('fits nothing where there is no terminal', () => {
    const rows = [[...row.slice(0, 1), 'x '.repeat(200), ...row.slice(2)]];
    expect(formatTable(wide, rows).split('\n')[2]?.length).toBeGreaterThan(400);
  });

  it('keeps the head where there are no rows', () => {
    expect(formatTable([{ title: 'one' }], [])).toBe('one\n───\n');
  });
});

describe('text', () => {
  it('of others is spelled out where a terminal would act on it', () => {
    expect(printable('a\x1b[31m\x9b\x7f\n\t\u202eb é ×')).toBe(
      'a\\x1b[31m\\x9b\\x7f\\x0a\\x09\\u202eb é ×',
    );
    expect(printableLines('a\n\x07b')).toBe('a\n\\x07b');
  });

  it('is broken between words, and a long word is left alone', () => {
    expect(wrapWords('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrapWords('one extraordinarily', 7)).toEqual(['one', 'extraordinarily']);
    expect(wrapWords(`a ${unbroken('b c')} d`, 4)).toEqual(['a', 'b c', 'd']);
    expect(wrapWords(`a ${unbroken('b c')}`, undefined)).toEqual(['a b c']);
    expect(hanging('label: ', 'one two three four five', 20)).toBe(
      'label: one two three four\n       five',
    );
  });

  it('of JSON has no control characters and no infinities', () => {
    expect(jsonText({ a: '\x1b\x9b\x7f', b: Infinity }, 0)).toBe(
      '{"a":"\\u001b\\u009b\\u007f","b":"Infinity"}\n',
    );
  });
});

describe('progress', () => {
  it('draws shares and never more than the terminal is wide', () => {
    expect(progressLine(1, 2, 'x', 80)).toBe(`${'█'.repeat(12)}${'░'.repeat(12)}  1/2  x`);
    expect(progressLine(5, 0, '', 80)).toContain('░'.repeat(24));
    expect(progressLine(1, 2, '\x1b[2J', 80)).toMatch(/ {2}\\x1b\[2J$/);
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
