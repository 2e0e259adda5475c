import { percent, significant } from '../../ops/bench/numbers.ts';
import type { RowKey } from '../../ops/bench/operation.ts';
import type { DeviceCeilings } from '../../runtime/device/backend.ts';
import type { CommandContext } from '../context.ts';
import { type Column, formatTable } from '../terminal/table.ts';
import { type BenchResult, type BenchRow, gigabytesPerSecond, teraflops } from './result.ts';

/** Columns of a problem that are not worth a word where they have these values. */
const usual: Readonly<Record<string, unknown>> = {
  h_kv: 1,
  s_q: 1,
  d_v: 512,
  d_qk: 576,
  page_size: 64,
  extra_page_size: 64,
  extra_topk: 0,
};

/** `b=4 h_q=128 s_k=4096 causal`. */
export function describeProblem(row: RowKey): string {
  return Object.entries(row)
    .filter(([name, value]) => name !== 'op' && value !== false && usual[name] !== value)
    .map(([name, value]) => (value === true ? name : `${name}=${value}`))
    .join(' ');
}

/** The results as a table for people. */
export function resultTable(
  { rows, ceilings }: BenchResult,
  { colors: { dim, green, yellow }, width }: Pick<CommandContext, 'colors' | 'width'>,
): string {
  // A processor's figures would begin with 0.0 in TFLOP/s.
  const inTera = rows.some((row) => teraflops(row) >= 1);
  const compared = rows.some((row) => row.baselineUs !== undefined);
  const columns: (Column & { cell(row: BenchRow): string })[] = [
    { title: 'operation', cell: ({ row }) => row.op },
    {
      title: 'problem',
      wraps: true,
      cell: ({ row, cold }) => describeProblem(row) + (cold ? ' cold' : ''),
    },
    { title: 'µs', align: 'right', cell: ({ us }) => significant(us) },
    {
      title: inTera ? 'TFLOP/s' : 'GFLOP/s',
      align: 'right',
      cell: (row) => whenPositive(teraflops(row) * (inTera ? 1 : 1e3), significant),
    },
    {
      title: 'GB/s',
      align: 'right',
      dispensable: 2,
      cell: (row) => significant(gigabytesPerSecond(row)),
    },
  ];
  const { flopsPerSecond, readBytesPerSecond } = ceilings;
  if (flopsPerSecond !== undefined) {
    columns.push({
      title: 'of FMA rate',
      align: 'right',
      dispensable: 4,
      cell: (row) => whenPositive((teraflops(row) * 1e12) / flopsPerSecond, percent),
    });
  }
  if (readBytesPerSecond !== undefined) {
    columns.push({
      title: 'of read rate',
      align: 'right',
      dispensable: 3,
      cell: (row) => percent((gigabytesPerSecond(row) * 1e9) / readBytesPerSecond),
    });
  }
  if (compared) {
    columns.push(
      {
        title: 'baseline µs',
        align: 'right',
        dispensable: 1,
        cell: ({ baselineUs }) => (baselineUs === undefined ? '–' : significant(baselineUs)),
      },
      {
        title: 'speed',
        align: 'right',
        cell: ({ baselineUs, us }) => {
          if (baselineUs === undefined) return '–';
          const ratio = baselineUs / us;
          return (ratio >= 1 ? green : yellow)(`${ratio.toFixed(2)}×`);
        },
      },
    );
  }
  return formatTable(
    columns,
    rows.map((row) => columns.map(({ cell }) => cell(row))),
    { dim, width },
  );
}

function whenPositive(value: number, text: (value: number) => string): string {
  return value > 0 ? text(value) : '–';
}

/** What the columns mean and what the shares refer to, one paragraph each. */
export function ceilingLines(ceilings: DeviceCeilings): string[] {
  const { flopsPerSecond, flopsOf, readBytesPerSecond, copyBytesPerSecond } = ceilings;
  const lines = [
    'GB/s: bytes of inputs (of a cache, the rows attended to) and outputs, each once, by time',
  ];
  if (flopsPerSecond !== undefined) {
    const rate = flopsPerSecond / 1e9;
    const text =
      rate >= 1000 ? `${significant(rate / 1e3)} TFLOP/s` : `${significant(rate)} GFLOP/s`;
    lines.push(`of FMA rate: share of ${text}, measured${flopsOf ? ` (${flopsOf})` : ''}`);
  }
  const copied =
    copyBytesPerSecond === undefined ? '' : `copy ${significant(copyBytesPerSecond / 1e9)} GB/s`;
  if (readBytesPerSecond !== undefined) {
    const read = `${significant(readBytesPerSecond / 1e9)} GB/s`;
    const also = copied === '' ? '' : `; ${copied}`;
    lines.push(
      `of read rate: share of ${read} read from memory, measured${also}; a cache can give more than 100 %`,
    );
  } else if (copied !== '') lines.push(`memory, measured: ${copied}`);
  return lines;
}
