import type { Line, Program } from '../assembler/program.ts';

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

/** Bytes shown in one row of the listing; longer ones go on in the next. */
const bytesPerRow = 10;

/**
 * A program for people: address, bytes and Intel's syntax of each instruction, labels, comments and
 * constants.
 */
export function listing(program: Program): string {
  const { name, bytes, features, lines } = program;
  const needs = features.length > 0 ? `needs ${features.join(', ')}` : 'needs nothing special';
  const rows = lines.flatMap((line) => rowsOf(line));
  return [`; ${name}: ${bytes.length} bytes, ${needs}`, ...rows, ''].join('\n');
}

function rowsOf({ kind, address, bytes, text }: Line): string[] {
  if (kind === 'label') return [`${text}:`];
  if (kind === 'comment') return [`${' '.repeat(8)}; ${text}`];
  if (bytes.length === 0) return [];
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += bytesPerRow) {
    const place = (address + at).toString(16).padStart(6, '0');
    const shown = hex(bytes.subarray(at, at + bytesPerRow)).padEnd(bytesPerRow * 3);
    const said = kind === 'constant' ? `; ${text}` : text;
    rows.push(`${place}  ${shown}${at === 0 ? said : ''}`.trimEnd());
  }
  return rows;
}
