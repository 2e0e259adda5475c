/**
 * Text of somebody else (file names, what files say, words of the command line) with every character
 * spelled out that a terminal would act on instead of showing it: `\x1b[2J` in place of a cleared
 * screen. Those are the control characters, line breaks and tabs included, and the marks that turn
 * the direction of writing.
 */
export function printable(text: string): string {
  return text.replace(acting, escaped);
}

/** As {@link printable}, of text in which line breaks have their meaning. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

const acting = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  const digits = code.toString(16);
  return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u${digits.padStart(4, '0')}`;
}
