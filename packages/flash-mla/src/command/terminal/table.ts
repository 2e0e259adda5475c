import { widthOf, wordsOf, wrapWords } from './wrap.ts';

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly align?: 'left' | 'right';
  /** Cells may go on in a further line where the terminal is narrow. Titles always may. */
  readonly wraps?: boolean;
  /** Left out where the terminal is too narrow for it; the least number goes first. Default: never. */
  readonly dispensable?: number;
}

/** How a table is drawn. */
export interface TableStyle {
  readonly dim?: (text: string) => string;
  /** Of the terminal, in characters. Undefined: as wide as it gets. */
  readonly width?: number | undefined;
}

const gap = 2;

/**
 * Lays cells out in columns, two spaces apart. Colours in cells do not count as width. Where the
 * terminal is narrower, titles and cells that may go on in further lines, then columns that may be
 * left out are, and a last line names those.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { dim = (text) => text, width }: TableStyle = {},
): string {
  let kept = columns.map((column, i) => ({ ...column, cells: rows.map((row) => row[i] ?? '') }));
  const left: string[] = [];
  let widths = kept.map(fullWidth);
  while (width !== undefined && sum(widths) > width) {
    widths = narrowed(kept, width);
    if (sum(widths) <= width) break;
    const ranks = kept.flatMap(({ dispensable }) => dispensable ?? []);
    if (ranks.length === 0) break;
    const goes = kept.findIndex(({ dispensable }) => dispensable === Math.min(...ranks));
    left.push(kept[goes]?.title ?? '');
    kept = kept.filter((_, i) => i !== goes);
    widths = kept.map(fullWidth);
  }
  const rowLines = (cells: readonly string[]) => linesOf(cells, kept, widths);
  const note = `(the terminal is too narrow for: ${left.join(', ')})`;
  return [
    ...rowLines(kept.map(({ title }) => title)).map(dim),
    dim(widths.map((n) => '─'.repeat(n)).join(' '.repeat(gap))),
    ...rows.flatMap((_, row) => rowLines(kept.map(({ cells }) => cells[row] ?? ''))),
    ...(left.length > 0 ? [dim(note)] : []),
    '',
  ].join('\n');
}

type FilledColumn = Column & { readonly cells: readonly string[] };

function fullWidth({ title, cells }: FilledColumn): number {
  return Math.max(widthOf(title), ...cells.map(widthOf));
}

/** Widths that fit, or the least there are: first titles give way, then the cells that may. */
function narrowed(columns: readonly FilledColumn[], width: number): number[] {
  const least = columns.map(({ title, cells, wraps }) =>
    Math.max(longestWord(title), ...cells.map(wraps ? longestWord : widthOf)),
  );
  const widths = columns.map(fullWidth);
  for (const part of ['titles', 'cells'] as const) {
    columns.forEach(({ title, cells, wraps }, i) => {
      const excess = sum(widths) - width;
      if (excess <= 0 || (part === 'cells' && !wraps)) return;
      const cellWidth = Math.max(longestWord(title), ...cells.map(widthOf));
      const low = part === 'titles' ? cellWidth : (least[i] ?? 0);
      widths[i] = Math.max(low, (widths[i] ?? 0) - excess);
    });
  }
  // Broken between words, lines are seldom as long as they may be.
  return columns.map(({ title, cells }, i) => {
    const lines = [title, ...cells].flatMap((cell) => wrapWords(cell, widths[i]));
    return Math.max(...lines.map(widthOf));
  });
}

/** Of the words of a text. */
function longestWord(text: string): number {
  return Math.max(...wordsOf(text).map(widthOf));
}

function sum(widths: readonly number[]): number {
  return widths.reduce((all, n) => all + n, 0) + gap * Math.max(0, widths.length - 1);
}

/** The lines of one row. */
function linesOf(
  cells: readonly string[],
  columns: readonly Column[],
  widths: readonly number[],
): string[] {
  const wrapped = cells.map((cell, i) => wrapWords(cell, widths[i]));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    wrapped
      .map((lines, i) => {
        const text = lines[line] ?? '';
        const space = ' '.repeat(Math.max(0, (widths[i] ?? 0) - widthOf(text)));
        return columns[i]?.align === 'right' ? space + text : text + space;
      })
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}
