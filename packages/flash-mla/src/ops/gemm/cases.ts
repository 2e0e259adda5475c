import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import type { Random } from '../conformance/suite/random.ts';
import type { Tolerance } from '../conformance/tolerance.ts';
import type { Uploads } from '../conformance/upload.ts';
import { batchedLinear } from './batched-linear.ts';
import { weightScaleBlock } from './limits.ts';
import { type LinearDType, type LinearWeightDType, linear } from './linear.ts';
import { type GemmProblem, gemm } from './reference.ts';

interface GemmParams {
  readonly op: 'linear' | 'batched-linear';
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly x: LinearDType;
  readonly weight: LinearWeightDType;
  readonly out: LinearDType;
  readonly batch?: number;
  readonly transposed?: boolean;
  readonly bias?: boolean;
  /** Dtype of a residual; `inPlace`: it is the output. */
  readonly residual?: LinearDType;
  readonly inPlace?: boolean;
  readonly scale?: number;
  readonly allowE4m3Rows?: boolean;
  readonly gap?: number;
  readonly graph?: boolean;
}

const bf16 = { op: 'linear', x: 'bf16', weight: 'bf16', out: 'bf16' } as const;
const f32 = { op: 'linear', x: 'f32', weight: 'f32', out: 'f32' } as const;
const e4m3 = { op: 'linear', x: 'bf16', weight: 'e4m3', out: 'bf16' } as const;
const heads = { ...bf16, op: 'batched-linear' } as const;

const quick: readonly GemmParams[] = [
  { ...bf16, rows: 1, columns: 512, depth: 2048 },
  { ...bf16, rows: 2, columns: 130, depth: 256, bias: true },
  { ...bf16, rows: 5, columns: 96, depth: 576, residual: 'bf16', gap: 8 },
  { ...bf16, rows: 17, columns: 200, depth: 320, out: 'f32' },
  { ...bf16, rows: 70, columns: 136, depth: 192, bias: true, residual: 'bf16', scale: 0.25 },
  { ...bf16, rows: 33, columns: 64, depth: 128, residual: 'f32', inPlace: true, out: 'f32' },
  { ...bf16, rows: 3, columns: 7, depth: 37, gap: 1 },
  { ...bf16, rows: 8, columns: 1, depth: 1 },
  { ...bf16, rows: 9, columns: 40, depth: 256, graph: true },
  { ...f32, rows: 1, columns: 70, depth: 300 },
  { ...f32, rows: 20, columns: 48, depth: 96, residual: 'f32', bias: true },
  { ...f32, rows: 5, columns: 19, depth: 33, gap: 1 },
  { ...f32, rows: 4, columns: 64, depth: 256, x: 'bf16' },
  { ...f32, rows: 4, columns: 64, depth: 256, weight: 'bf16' },
  { ...e4m3, rows: 1, columns: 576, depth: 512 },
  { ...e4m3, rows: 6, columns: 200, depth: 300, residual: 'bf16' },
  { ...e4m3, rows: 40, columns: 256, depth: 256, bias: true },
  { ...e4m3, rows: 70, columns: 264, depth: 384, residual: 'bf16', allowE4m3Rows: true },
  { ...e4m3, rows: 34, columns: 40, depth: 128, bias: true, allowE4m3Rows: true },
  { ...heads, rows: 1, batch: 4, columns: 128, depth: 512 },
  { ...heads, rows: 9, batch: 3, columns: 64, depth: 128, gap: 8 },
  { ...heads, rows: 1, batch: 4, columns: 512, depth: 128, transposed: true },
  { ...heads, rows: 20, batch: 3, columns: 136, depth: 64, transposed: true, gap: 8 },
  {
    ...heads,
    ...{ x: 'f32', weight: 'f32', out: 'f32' },
    rows: 5,
    batch: 2,
    columns: 21,
    depth: 40,
    transposed: true,
  },
];

const full: readonly GemmParams[] = [1, 3, 16, 64, 200].flatMap((rows) =>
  [
    { columns: 576, depth: 2048 },
    { columns: 2048, depth: 1408 },
    { columns: 300, depth: 7168 },
  ].flatMap((shape): GemmParams[] => [
    { ...bf16, rows, ...shape },
    { ...bf16, rows, ...shape, bias: true, residual: 'bf16' },
    { ...f32, rows, ...shape },
    { ...e4m3, rows, ...shape },
  ]),
);

/**
 * Terms are of the order of 1 / √depth, so sums are of the order of 1. Tensor cores cut off low bits of
 * what they add up.
 */
const tolerances: Readonly<Record<LinearDType, Tolerance>> = {
  f32: { absolute: 1e-4, relative: 1e-4 },
  bf16: { absolute: 1e-4, relative: 1.1 / 256 },
};

/** Rows that were rounded to e4m3: terms are off by up to 2⁻⁴ of them, one with another by 2 %. */
const ofE4m3Rows: Tolerance = { absolute: 0.25, relative: 0.02 };

/** Weights with a deviation of 1 / √depth. */
function drawWeights(
  { weight, batch = 1, columns, depth, transposed }: GemmParams,
  random: Random,
) {
  const shape = transposed ? [batch, depth, columns] : [batch, columns, depth];
  const deviation = 1 / Math.sqrt(depth);
  if (weight !== 'e4m3') {
    return { weight: drawNormals(random, weight, shape, deviation), weightScales: undefined };
  }
  const blocks = [columns, depth].map((n) => Math.ceil(n / weightScaleBlock));
  const count = (blocks[0] as number) * (blocks[1] as number);
  const data = Float32Array.from(
    { length: count },
    () => (deviation * (1 + random.uniform())) / 16,
  );
  const weightScales: HostTensor<'f32'> = { dtype: 'f32', shape: blocks, data };
  return { weight: drawNormals(random, 'e4m3', shape, 16), weightScales };
}

export const gemmCases = defineCases<GemmParams, GemmProblem>({
  quick,
  full,
  cost: ({ rows, batch = 1, columns, depth }) => 2 * rows * batch * columns * depth,

  problem(params, random) {
    const { rows, batch = 1, columns, depth, x, out, bias, residual, scale = 1 } = params;
    const draw = (name: string, dtype: LinearDType, shape: readonly number[]) =>
      drawNormals(random.stream(name), dtype, shape, 1);
    return {
      ...drawWeights(params, random.stream('weight')),
      ...{ transposed: params.transposed ?? false, scale, x: draw('x', x, [rows, batch, depth]) },
      bias: bias ? draw('bias', out, [columns]) : undefined,
      residual: residual && draw('residual', residual, [rows, batch, columns]),
    };
  },

  expected: (problem, { out, columns, allowE4m3Rows }) => ({
    out: {
      values: gemm(problem),
      rowLength: columns,
      tolerance: allowE4m3Rows ? ofE4m3Rows : tolerances[out],
    },
  }),

  upload: (uploads, problem, params) =>
    params.op === 'linear'
      ? uploadLinear(uploads, problem, params)
      : uploadBatched(uploads, problem, params),
});

function uploadLinear(uploads: Uploads, problem: GemmProblem, params: GemmParams) {
  const { gap = 0, rows, columns, scale, out: dtype, inPlace, allowE4m3Rows } = params;
  const put = (host: HostTensor | undefined) => {
    if (host === undefined) return undefined;
    const flat = { ...host, shape: [host.shape[0] as number, host.shape.at(-1) as number] };
    return gap > 0 ? uploads.putStrided(flat, gap) : uploads.put(flat);
  };
  const { weight, weightScales, bias } = problem;
  const [, weightColumns = 0, weightDepth = 0] = weight.shape;
  const flatWeight = { ...weight, shape: [weightColumns, weightDepth] };
  const residual = put(problem.residual) as Tensor<LinearDType> | undefined;
  const options = {
    x: put(problem.x) as Tensor<LinearDType>,
    weight: (gap > 0
      ? uploads.putStrided(flatWeight, gap)
      : uploads.put(flatWeight)) as Tensor<LinearWeightDType>,
    weightScales: weightScales && uploads.put(weightScales),
    bias: bias && (uploads.put(bias) as Tensor<LinearDType>),
    ...{ residual, scale, dtype, allowE4m3Rows },
    out: (inPlace && residual
      ? residual
      : uploads.poisoned([rows, columns], dtype)) as Tensor<LinearDType>,
  };
  return () => ({ out: linear(options) });
}

function uploadBatched(
  uploads: Uploads,
  { x, weight, transposed }: GemmProblem,
  params: GemmParams,
) {
  const { gap = 0, rows, batch = 1, columns, out: dtype } = params;
  const put = (host: HostTensor) =>
    (gap > 0 ? uploads.putStrided(host, gap) : uploads.put(host)) as Tensor<LinearDType>;
  const memory = uploads.poisoned([rows, batch, columns + gap], dtype);
  const out = memory.slice(2, 0, columns);
  const options = { x: put(x), weight: put(weight), transposed, dtype, out };
  return () => ({ out: batchedLinear(options) });
}
