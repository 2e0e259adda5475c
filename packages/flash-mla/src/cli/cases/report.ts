import type { Comparison } from '../../cases/index.ts';
import type { Colors } from '../terminal/colors.ts';
import { scientific, significant } from '../terminal/numbers.ts';
import { formatTable } from '../terminal/table.ts';

/** What became of one case. */
export interface CaseLine {
  readonly name: string;
  readonly op: string;
  readonly shapes: string;
  readonly microseconds: number;
  readonly bytes: number;
  readonly pass: boolean;
  readonly comparisons: readonly Comparison[];
}

/** Case, shapes, largest error of `out`, time and verdict. */
export function caseTable(lines: readonly CaseLine[], { dim, green, red }: Colors): string {
  return formatTable(
    [
      { title: 'case' },
      { title: 'shapes' },
      { title: 'error', align: 'right' },
      { title: 'vs FlashMLA', align: 'right' },
      { title: 'µs', align: 'right' },
      { title: 'GB/s', align: 'right' },
      { title: 'result' },
    ],
    lines.map((line) => [
      line.name,
      line.shapes,
      largestError(line, 'expected'),
      largestError(line, 'flashmla'),
      significant(line.microseconds),
      significant(line.bytes / line.microseconds / 1e3),
      line.pass ? green(line.comparisons.length > 0 ? 'pass' : 'ran') : red('FAIL'),
    ]),
    dim,
  );
}

/** Largest distance of an element of `out`; `–` where the file has no such answer. */
function largestError({ comparisons }: CaseLine, against: string): string {
  const found = comparisons.find((item) => item.answer === 'out' && item.against === against);
  return found === undefined ? '–' : scientific(found.maxAbsolute);
}

/** JSON knows no infinities and no NaN: they become words. */
export function jsonText(value: unknown): string {
  const plain = (_key: string, item: unknown) =>
    typeof item === 'number' && !Number.isFinite(item) ? String(item) : item;
  return `${JSON.stringify(value, plain, 2)}\n`;
}
