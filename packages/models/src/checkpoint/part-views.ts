import type { QuantizedPart, WeightPart } from '../layers/operations.ts';

/** Rows `first` to `end` of a part. Quantised, `first` must begin a block, or it is read as floats. */
export function rowsOf(part: WeightPart, first: number, end: number): WeightPart {
  const { columns, readRows, readBf16, quantized } = part;
  const own: WeightPart = {
    rows: end - first,
    columns,
    readRows: (from, to) => readRows(first + from, first + to),
    ...(readBf16 && { readBf16: (from, to) => readBf16(first + from, first + to) }),
  };
  if (quantized === undefined || first % quantized.blockRows !== 0) return own;
  const { blockRows, blockColumns } = quantized;
  const scaleColumns = Math.ceil(columns / blockColumns);
  const [from, to] = [first, end].map((row) => Math.ceil(row / blockRows) * scaleColumns);
  const rows: QuantizedPart = {
    ...{ blockRows, blockColumns },
    readCodes: (begin, stop) => quantized.readCodes(first + begin, first + stop),
    readScales: async () => (await quantized.readScales()).slice(from, to),
  };
  return { ...own, quantized: rows };
}

/** Columns `first` to `end` of a part. Quantised, `first` must begin a block, or it is read as floats. */
export function columnsOf(part: WeightPart, first: number, end: number): WeightPart {
  const { rows, columns, readRows, readBf16, quantized } = part;
  const own: WeightPart = {
    rows,
    columns: end - first,
    readRows: async (from, to) => cut(await readRows(from, to), columns, first, end),
    ...(readBf16 && {
      readBf16: async (from, to) => cut(await readBf16(from, to), columns, first, end),
    }),
  };
  if (quantized === undefined || first % quantized.blockColumns !== 0) return own;
  const { blockRows, blockColumns } = quantized;
  const [from = 0, to = 0] = [first, end].map((column) => Math.ceil(column / blockColumns));
  const some: QuantizedPart = {
    ...{ blockRows, blockColumns },
    readCodes: async (begin, stop) =>
      cut(await quantized.readCodes(begin, stop), columns, first, end),
    readScales: async () =>
      cut(await quantized.readScales(), Math.ceil(columns / blockColumns), from, to),
  };
  return { ...own, quantized: some };
}

/** Vectors one behind the other. */
export function sideBySide(parts: readonly WeightPart[]): WeightPart {
  return {
    rows: 1,
    columns: parts.reduce((sum, { columns }) => sum + columns, 0),
    readRows: async () => {
      const all = await Promise.all(parts.map(({ readRows }) => readRows(0, 1)));
      return Float32Array.from(all.flatMap((values) => [...values]));
    },
  };
}

export function zeros(columns: number): WeightPart {
  return { rows: 1, columns, readRows: async () => new Float32Array(columns) };
}

/** Columns `first` to `end` of rows of `columns` values. */
function cut<Values extends Float32Array | Uint16Array | Uint8Array>(
  values: Values,
  columns: number,
  first: number,
  end: number,
): Values {
  const width = end - first;
  const rows = values.length / columns;
  const out = values.slice(0, rows * width) as Values;
  for (let row = 0; row < rows; row++) {
    const at = row * columns;
    out.set(values.subarray(at + first, at + end), row * width);
  }
  return out;
}
