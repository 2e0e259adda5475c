import type { Rows } from './products.ts';

/** A row-major matrix of float32. */
export interface PlainMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

export function matrix(rows: number, columns: number): PlainMatrix {
  return { rows, columns, data: new Float32Array(rows * columns) };
}

/** The matrix as rows from `row` and column `column` on. */
export function rowsOf({ data, columns }: PlainMatrix, row = 0, column = 0): Rows {
  return { data, offset: row * columns + column, stride: columns };
}

export function takeColumns(x: PlainMatrix, begin: number, end: number): PlainMatrix {
  const out = matrix(x.rows, end - begin);
  for (let row = 0; row < x.rows; row++) {
    const at = row * x.columns;
    out.data.set(x.data.subarray(at + begin, at + end), row * out.columns);
  }
  return out;
}
