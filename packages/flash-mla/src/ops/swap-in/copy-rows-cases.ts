import { type HostTensor, hostTensor } from '@flash-mla/core';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { exact } from '../conformance/tolerance.ts';
import { copyRows } from './copy-rows.ts';
import { copyRows as copyRowsReference, type RowCopy } from './reference.ts';

interface CopyRowsParams {
  readonly op: 'copy-rows';
  readonly requests: number;
  /** Rows of a request at most. */
  readonly most: number;
  readonly page: number;
  readonly rowBytes: number;
  /** Each request says how many of its rows are valid. */
  readonly counted?: boolean;
  readonly graph?: boolean;
}

const base = { op: 'copy-rows', page: 16, rowBytes: 656 } as const;

const quick: readonly CopyRowsParams[] = [
  { ...base, requests: 4, most: 50, counted: true },
  { ...base, requests: 3, most: 300, rowBytes: 1152, counted: true },
  { ...base, requests: 33, most: 1 },
  { ...base, requests: 1, most: 7, page: 1, rowBytes: 16 },
  { ...base, requests: 2, most: 40, counted: true, graph: true },
];

const full: readonly CopyRowsParams[] = [1, 32].map((requests) => ({
  ...{ ...base, requests, most: 2048, page: 64, counted: true },
}));

/** Rows that are none, and counts of none and of more than there are, are among them. */
export const copyRowsCases = defineCases<CopyRowsParams, RowCopy>({
  quick,
  full,
  cost: ({ requests, most, rowBytes }) => requests * most * rowBytes,

  problem({ requests, most, page, rowBytes, counted = false }, random) {
    const pages = Math.ceil((requests * most) / page) + 2;
    const numRows = pages * page;
    const bytes = () =>
      Uint8Array.from({ length: numRows * rowBytes }, () => random.integer(0, 255));
    // No row of the target is named twice.
    const places = random.shuffle(Int32Array.from({ length: numRows }, (_, row) => row));
    const rows = (row: (i: number) => number) =>
      Int32Array.from({ length: requests * most }, (_, i) =>
        random.chance(0.05) ? random.pick([-1, numRows, 2 ** 31 - 1]) : row(i),
      );
    return {
      ...{ source: bytes(), target: bytes(), rowBytes, most },
      sourceRows: rows(() => random.integer(0, numRows - 1)),
      targetRows: rows((i) => places[i] ?? -1),
      ...(counted && {
        counts: Int32Array.from({ length: requests }, (_, request) =>
          request === 1 ? random.pick([0, -1, most + 9]) : random.integer(0, most),
        ),
      }),
    };
  },

  expected(problem, { rowBytes }) {
    const target = problem.target.slice();
    copyRowsReference({ ...problem, target });
    const values = Float64Array.from(target);
    return { target: { values, rowLength: rowBytes, tolerance: exact } };
  },

  upload(uploads, problem, { requests, most, page, rowBytes }) {
    const ints = (data: Int32Array, ...shape: number[]) =>
      uploads.put(hostTensor('i32', shape, data.slice()));
    const cache = (data: Uint8Array) => {
      const shape = [data.length / (page * rowBytes), page, 1, rowBytes];
      const tensor: HostTensor<'u8'> = hostTensor('u8', shape, data.slice());
      return uploads.put(tensor);
    };
    const { counts } = problem;
    const options = {
      ...{ source: cache(problem.source), target: cache(problem.target) },
      sourceRows: ints(problem.sourceRows, requests, most),
      targetRows: ints(problem.targetRows, requests, most),
      ...(counts && { counts: ints(counts, requests) }),
    };
    return () => ({ target: copyRows(options) });
  },

  excluded: () => {
    return { webgpu: 'no kernel: a GPU in a browser cannot read memory of the host' };
  },
});
