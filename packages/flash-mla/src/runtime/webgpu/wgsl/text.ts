/** Small helpers to write WGSL in template strings. */

/** Lines of text, one per index below `count`. */
export function each(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => line(index)).join('\n');
}

/** A body for each index below `count`: one after the other, or as a loop. */
export function repeat(
  unrolled: boolean,
  name: string,
  count: number,
  body: (index: string) => string,
): string {
  if (unrolled) return each(count, (index) => `{\n${body(`${index}u`)}\n}`);
  return `for (var ${name} = 0u; ${name} < ${count}u; ${name}++) {\n${body(name)}\n}`;
}

/** Joins the parts of a text that are there. */
export function join(...parts: readonly (string | false | undefined)[]): string {
  return parts.filter((part) => part !== false && part !== undefined && part !== '').join('\n');
}

/**
 * Indents by braces and drops empty lines, so that a generated shader can be read and its compiler's
 * line numbers mean something.
 */
export function format(source: string): string {
  let depth = 0;
  const lines: string[] = [];
  for (const raw of source.split('\n')) {
    const line = raw.trim();
    if (line === '') continue;
    const closing = /^[})\]]+/.exec(line)?.[0].length ?? 0;
    lines.push('  '.repeat(Math.max(0, depth - closing)) + line);
    depth += count(line, /[{([]/g) - count(line, /[})\]]/g);
  }
  return `${lines.join('\n')}\n`;
}

function count(line: string, pattern: RegExp): number {
  return line.match(pattern)?.length ?? 0;
}
