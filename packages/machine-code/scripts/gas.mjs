// GNU as as a second opinion: assembles lines of Intel syntax and gives the bytes of each.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The version line of GNU as, or undefined where there is none. */
export function gasVersion() {
  const { status, stdout } = spawnSync('as', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0] : undefined;
}

/** The bytes (lower-case hexadecimal) of each line; an error's text where as refuses it. */
export function assembleWithGas(lines) {
  const folder = mkdtempSync(join(tmpdir(), 'machine-code-gas-'));
  const path = (name) => join(folder, name);
  try {
    const refused = new Map();
    for (;;) {
      // What as refuses is left out, so that the rest can be assembled.
      const source = lines.map((line, i) => (refused.has(i) ? '' : line));
      writeFileSync(path('in.s'), ['.intel_syntax noprefix', ...source, ''].join('\n'));
      const run = (...args) => spawnSync('as', args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
      const { status, stderr } = run(
        '-al',
        '--listing-rhs-width=1',
        '--listing-lhs-width=8',
        '-o',
        path('out.o'),
        `-aln=${path('list')}`,
        path('in.s'),
      );
      const errors = [...stderr.matchAll(/:(\d+): Error: (.*)/g)];
      for (const [, line, text] of errors) refused.set(Number(line) - 2, `error: ${text}`);
      if (status === 0) break;
      if (errors.length === 0) throw new Error(stderr);
    }
    const bytes = lines.map((_, i) => refused.get(i) ?? '');
    for (const row of readFileSync(path('list'), 'utf8').split('\n')) {
      const match = /^ *(\d+) (?:[0-9a-f]{4,}|\s{4}) ((?:[0-9A-F]+ ?)+)/.exec(row);
      if (match === null) continue;
      const line = Number(match[1]) - 2;
      if (line >= 0 && !refused.has(line)) bytes[line] += match[2].replace(/ /g, '').toLowerCase();
    }
    return bytes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
