import { FileFormatError } from '@flash-mla/core';
import type { RowKey } from '../../ops/bench/operation.ts';
import { readTextFile } from '../files.ts';

/** Rows of an earlier measurement, by problem. */
export interface Baseline {
  readonly path: string;
  /** Time of the same problem in µs; undefined where the file has no such row. */
  timeOf(row: RowKey): number | undefined;
}

type Row = Readonly<Record<string, unknown>>;

/** Columns that say how a row came out rather than which problem it is. */
const measured = new Set([
  'us',
  'us_min',
  'sm_mhz',
  'watt',
  'tflops',
  'gbps',
  'cold',
  'copies',
  'samples',
  'clock',
  'baseline_us',
  'speedup',
]);

/** What a column is where a file leaves it out: FlashMLA's own measurements name no page size. */
const defaults: Readonly<Record<string, unknown>> = {
  h_kv: 1,
  d_qk: 576,
  d_v: 512,
  varlen: false,
  causal: false,
  extra_topk: 0,
  extra_len: false,
};

/** Columns that are compared only where both rows have them. */
const optional = new Set(['page_size', 'extra_page_size']);

/** Thousands of times what a suite writes. */
const largestFile = 64 * 2 ** 20;

/** Reads a result file. Throws {@link FileFormatError}; rejects where there is no such file. */
export async function readBaseline(path: string): Promise<Baseline> {
  const text = await readTextFile(path, largestFile);
  let rows: unknown;
  try {
    rows = (JSON.parse(text) as { rows?: unknown } | null)?.rows;
  } catch (error) {
    throw new FileFormatError(path, 'content', 'JSON', (error as Error).message);
  }
  if (!Array.isArray(rows) || !rows.every(isRow)) {
    throw new FileFormatError(path, 'rows', 'an array of rows with op and us', typeof rows);
  }
  return {
    path,
    timeOf: (row) =>
      rows.find((candidate: Row) => isSame(row, candidate))?.us as number | undefined,
  };
}

function isRow(value: unknown): value is Row {
  const row = value as Row | null;
  return typeof row === 'object' && typeof row?.op === 'string' && typeof row.us === 'number';
}

function isSame(a: Row, b: Row): boolean {
  for (const column of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (measured.has(column)) continue;
    if (optional.has(column) && (a[column] === undefined || b[column] === undefined)) continue;
    if ((a[column] ?? defaults[column]) !== (b[column] ?? defaults[column])) return false;
  }
  return true;
}
