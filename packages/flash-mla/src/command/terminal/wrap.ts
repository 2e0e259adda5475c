import { stripVTControlCharacters } from 'node:util';

/** Characters that a text takes on a line; colours take none. */
export function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}

const noBreak = '\u00a0';

/** A text that {@link wrapWords} takes for one word. */
export function unbroken(text: string): string {
  return text.replaceAll(' ', noBreak);
}

/** What goes on one line, at least. */
export function wordsOf(text: string): string[] {
  return text.split(' ').map((word) => word.replaceAll(noBreak, ' '));
}

/**
 * The lines of a text, broken between words so that none is longer than `width`; a longer word has a
 * line of its own. Undefined: one line.
 */
export function wrapWords(text: string, width: number | undefined): string[] {
  if (width === undefined || widthOf(text) <= width) return [wordsOf(text).join(' ')];
  const lines: string[] = [];
  let line = '';
  for (const word of wordsOf(text)) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** A text behind a label, its further lines indented to the end of the label. */
export function hanging(label: string, text: string, width: number | undefined): string {
  const indent = widthOf(label);
  const lines = wrapWords(text, width === undefined ? undefined : Math.max(20, width - indent));
  return label + lines.join(`\n${' '.repeat(indent)}`);
}
