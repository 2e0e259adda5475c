import { encodeE4m3, type HostTensor, hostTensor } from '@flash-mla/core';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { defineCases, type ExpectedAnswer } from '../../conformance/suite/define-cases.ts';
import { drawNormals } from '../../conformance/suite/draw-rows.ts';
import { exact, roundingOf } from '../../conformance/tolerance.ts';
import { prepareIndexQueries } from '../api/prepare-index-queries.ts';
import { storeIndexKeys } from '../api/store-index-keys.ts';
import { indexDim, indexTokenBytes } from '../limits.ts';
import { type IndexRowsProblem, indexRows } from '../reference/index-rows.ts';
import { drawTables } from './draw.ts';

interface IndexRowsParams {
  readonly op: 'index-queries' | 'index-keys';
  readonly rows: number;
  /** Of queries. */
  readonly heads?: number;
  readonly x: 'bf16' | 'f32';
  readonly weights: 'bf16' | 'f32';
  readonly pairs: 'half' | 'interleaved';
  /** Of the cache. */
  readonly page?: number;
  readonly plain?: boolean;
  /** Elements between rows. */
  readonly gap?: number;
  readonly graph?: boolean;
}

interface Drawn {
  readonly problem: IndexRowsProblem;
  readonly weights: HostTensor<'bf16' | 'f32'>;
  readonly slots: Int32Array;
}

const [queries, keys] = [{ op: 'index-queries' }, { op: 'index-keys' }] as const;
const positionsKnown = 40;

const quick: readonly IndexRowsParams[] = [
  { ...queries, rows: 3, heads: 64, x: 'bf16', weights: 'bf16', pairs: 'half' },
  { ...queries, rows: 5, heads: 8, x: 'f32', weights: 'f32', pairs: 'interleaved', gap: 3 },
  { ...queries, rows: 2, heads: 1, x: 'bf16', weights: 'f32', pairs: 'half', plain: true },
  { ...queries, rows: 1, heads: 32, x: 'bf16', weights: 'bf16', pairs: 'interleaved', graph: true },
  { ...keys, rows: 9, x: 'bf16', weights: 'f32', pairs: 'half', page: 64 },
  { ...keys, rows: 5, x: 'f32', weights: 'f32', pairs: 'interleaved', page: 16, gap: 2 },
  { ...keys, rows: 40, x: 'bf16', weights: 'bf16', pairs: 'half', page: 16, plain: true },
];

const full: readonly IndexRowsParams[] = [1, 33, 200].flatMap((rows) =>
  (['half', 'interleaved'] as const).flatMap((pairs): IndexRowsParams[] => [
    { ...queries, rows, heads: 64, x: 'bf16', weights: 'bf16', pairs },
    { ...keys, rows, x: 'bf16', weights: 'bf16', pairs, page: 64 },
  ]),
);

export const indexRowsCases = defineCases<IndexRowsParams, Drawn>({
  quick,
  full,
  cost: ({ rows, heads = 1 }) => rows * heads * indexDim * 40,

  problem({ op, rows, heads = 1, x, weights, pairs, page = 64, plain }, random) {
    const isKeys = op === 'index-keys';
    const draw = (name: string, shape: number[], scale: number) =>
      drawNormals(random.stream(name), isKeys || name === 'weights' ? weights : x, shape, scale);
    const positions = Int32Array.from({ length: rows }, () =>
      random.integer(0, positionsKnown - 1),
    );
    if (rows > 3) positions.set([-1, positionsKnown], 1);
    const capacity = page * Math.ceil((2 * rows) / page);
    const places = random.shuffle(Array.from({ length: capacity }, (_, i) => i));
    const slots = Int32Array.from(places.slice(0, rows));
    if (rows > 4) slots.set([-1, capacity], 2);
    return {
      problem: {
        x: drawNormals(random.stream('x'), x, [rows, heads, indexDim], 3),
        ...(isKeys && {
          norm: {
            weight: draw('gain', [indexDim], 1),
            bias: draw('bias', [indexDim], 1),
            eps: 1e-6,
          },
        }),
        ...{ ...drawTables(positionsKnown), positions },
        ...{ interleaved: pairs === 'interleaved', hadamard: !plain },
      },
      ...{ weights: draw('weights', [rows, heads], 1), slots },
    };
  },

  expected({ problem, weights, slots }, params): Record<string, ExpectedAnswer> {
    const { values, scales } = indexRows(problem);
    if (params.op === 'index-keys') return expectedCache(params, values, scales, slots);
    const { heads = 1 } = params;
    const given = weights.dtype === 'f32' ? weights.data : undefined;
    const decoded = Float64Array.from(weights.data, (code, i) =>
      given ? (given[i] as number) : bf16(code),
    );
    const factor = 1 / Math.sqrt(heads * indexDim);
    const products = decoded.map((w, i) => w * factor * (scales[i] as number));
    return {
      q: { values, rowLength: indexDim, tolerance: roundingOf('e4m3') },
      weights: { values: products, rowLength: heads, tolerance: { absolute: 0, relative: 1e-6 } },
    };
  },

  upload(
    uploads,
    { problem, weights, slots },
    { op, rows, heads = 1, pairs, page = 64, plain, gap },
  ) {
    const { x, norm, cos, sin, positions } = problem;
    const put = (host: HostTensor<'bf16' | 'f32'>) =>
      (gap ? uploads.putStrided(host, gap) : uploads.put(host)) as Tensor<'f32'>;
    const ints = (data: Int32Array) => uploads.put(hostTensor('i32', [rows], data));
    const rotation = {
      ...{ cos: uploads.put(cos), sin: uploads.put(sin), positions: ints(positions), pairs },
      ...(plain && { hadamard: false }),
    };
    if (op === 'index-queries') {
      const options = {
        ...{ ...rotation, q: put(x), weights: put(weights) },
        outQ: uploads.poisoned([rows, heads, indexDim], 'e4m3'),
        outWeights: uploads.poisoned([rows, heads], 'f32'),
      };
      return () => ({ ...prepareIndexQueries(options) });
    }
    const pages = Math.ceil((2 * rows) / page);
    const bytes = new Uint8Array(pages * page * indexTokenBytes).fill(untouched);
    const options = {
      ...{ ...rotation, k: put({ ...x, shape: [rows, indexDim] }) },
      normWeight: uploads.put(norm?.weight as HostTensor<'f32'>),
      normBias: uploads.put(norm?.bias as HostTensor<'f32'>),
      indexCache: uploads.put(hostTensor('u8', [pages, page, 1, indexTokenBytes], bytes)),
      slots: ints(slots),
    };
    return () => {
      const cache = storeIndexKeys(options);
      return { keys: cache, scales: cache };
    };
  },
});

const untouched = 0x5a;
const bf16 = (code: number) => new Float32Array(Uint32Array.of(code << 16).buffer)[0] as number;

/** Keys may be off by a rounding; scales and what is not written may not. */
function expectedCache(
  { rows, page = 64 }: IndexRowsParams,
  values: Float64Array,
  scales: Float64Array,
  slots: Int32Array,
): Record<string, ExpectedAnswer> {
  const pages = Math.ceil((2 * rows) / page);
  const bytes = new Uint8Array(pages * page * indexTokenBytes).fill(untouched);
  const isKey = new Uint8Array(bytes.length / 4);
  slots.forEach((slot, row) => {
    if (slot < 0 || slot >= pages * page) return;
    const start = Math.floor(slot / page) * page * indexTokenBytes;
    const [key, scale] = [
      start + (slot % page) * indexDim,
      start + page * indexDim + (slot % page) * 4,
    ];
    isKey.fill(1, key / 4, key / 4 + indexDim / 4);
    for (let i = 0; i < indexDim; i++) {
      bytes[key + i] = encodeE4m3(values[row * indexDim + i] as number);
    }
    bytes.set(new Uint8Array(Float32Array.of(scales[row] as number).buffer), scale);
  });
  const answer = { values: Float64Array.from(bytes), rowLength: 4 };
  return {
    keys: { ...answer, known: isKey, tolerance: { absolute: 1.01, relative: 0 } },
    scales: { ...answer, known: isKey.map((is) => 1 - is), tolerance: exact },
  };
}
