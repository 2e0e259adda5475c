import { scientific, significant } from '../../ops/bench/numbers.ts';
import type { Comparison } from '../../ops/cases.ts';
import type { CommandContext } from '../context.ts';
import { printable } from '../terminal/printable.ts';
import { formatTable } from '../terminal/table.ts';
import { unbroken } from '../terminal/wrap.ts';

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
export function caseTable(
  lines: readonly CaseLine[],
  { colors: { dim, green, red }, width }: Pick<CommandContext, 'colors' | 'width'>,
): string {
  return formatTable(
    [
      { title: 'case' },
      { title: 'shapes', wraps: true },
      { title: 'error', align: 'right' },
      { title: 'vs FlashMLA', align: 'right', dispensable: 3 },
      { title: 'µs', align: 'right', dispensable: 2 },
      { title: 'GB/s', align: 'right', dispensable: 1 },
      { title: 'result' },
    ],
    lines.map((line) => [
      printable(line.name),
      line.shapes.split(', ').map(unbroken).join(', '),
      largestError(line, 'expected'),
      largestError(line, 'flashmla'),
      significant(line.microseconds),
      significant(line.bytes / line.microseconds / 1e3),
      line.pass ? green(line.comparisons.length > 0 ? 'pass' : 'ran') : red('FAIL'),
    ]),
    { dim, width },
  );
}

/** Largest distance of an element of `out`; `–` where the file has no such answer. */
function largestError({ comparisons }: CaseLine, against: string): string {
  const found = comparisons.find((item) => item.answer === 'out' && item.against === against);
  return found === undefined ? '–' : scientific(found.maxAbsolute);
}
