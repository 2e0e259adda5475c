import type { RowKey } from '../../ops/bench/operation.ts';
import type { DeviceCeilings } from '../../runtime/device/backend.ts';
import type { MachineFacts } from '../machine.ts';
import type { MovedCeiling } from './ceilings.ts';

/** What was measured of one problem; `row` says which. */
export interface BenchRow {
  readonly row: RowKey;
  readonly us: number;
  readonly usMin: number;
  readonly flops: number;
  readonly bytes: number;
  readonly cold: boolean;
  readonly copies: number;
  readonly samples: number;
  readonly clock: 'device' | 'wall';
  /** Time of the matching row of `--compare`, in µs. */
  readonly baselineUs?: number | undefined;
}

/** All that a run of `bench` found out. */
export interface BenchResult {
  readonly date: string;
  readonly version: string;
  readonly device: { readonly id: string; readonly name: string; readonly parallelism: number };
  readonly machine: MachineFacts;
  /** The higher of what was measured before and after the rows. */
  readonly ceilings: DeviceCeilings;
  /** Those that differ by more than a tenth: then shares of them, and times, are in doubt. */
  readonly ceilingsMoved: readonly MovedCeiling[];
  readonly comparedWith: string | undefined;
  readonly rows: readonly BenchRow[];
}

export const teraflops = ({ flops, us }: BenchRow): number => flops / us / 1e6;
export const gigabytesPerSecond = ({ bytes, us }: BenchRow): number => bytes / us / 1e3;

/** The method, for a reader of the file. */
const method =
  'a graph of calls over rotated random-normal inputs, combine included, scheduling metadata already ' +
  'computed; 0.35 s of replays first, then the median (us) and minimum (us_min) of up to 31 samples, per call';

/** As a file: rows have the columns of FlashMLA's own measurements, so that it can be compared with. */
export function resultJson(result: BenchResult): Record<string, unknown> {
  const { rows, ...facts } = result;
  return {
    source: `flash-mla ${result.version}`,
    method,
    ...facts,
    rows: rows.map((row) => ({
      ...row.row,
      us: rounded(row.us),
      us_min: rounded(row.usMin),
      tflops: rounded(teraflops(row)),
      gbps: rounded(gigabytesPerSecond(row)),
      cold: row.cold,
      copies: row.copies,
      samples: row.samples,
      clock: row.clock,
      ...(row.baselineUs !== undefined && {
        baseline_us: row.baselineUs,
        speedup: rounded(row.baselineUs / row.us),
      }),
    })),
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(5));
}
