import { decodeAll, type HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import type { Random } from '../conformance/suite/random.ts';
import { exact, roundingOf, type Tolerance } from '../conformance/tolerance.ts';
import { weightScaleBlock } from '../gemm/index.ts';
import { type ExpertDType, type ExpertWeightDType, expertMlp } from './expert-mlp.ts';
import {
  expertMlp as expertReference,
  type RouteProblem,
  routeExperts as routeReference,
} from './reference.ts';
import { routeExperts } from './route-experts.ts';

interface RouteParams {
  readonly op: 'route-experts';
  readonly rows: number;
  readonly experts: number;
  readonly topK: number;
  readonly scoring: 'softmax' | 'sigmoid';
  readonly logits: 'bf16' | 'f32';
  readonly bias?: boolean;
  readonly groups?: number;
  readonly topGroups?: number;
  readonly groupScore?: 'max' | 'top2';
  readonly normalize?: boolean;
  readonly scale?: number;
  readonly sharedExperts?: number;
  readonly gap?: number;
  readonly graph?: boolean;
}

const route = { op: 'route-experts', logits: 'f32' } as const;
const v3 = {
  ...route,
  scoring: 'sigmoid',
  bias: true,
  normalize: true,
  groupScore: 'top2',
} as const;

const quickRoutes: readonly RouteParams[] = [
  { ...route, rows: 7, experts: 64, topK: 6, scoring: 'softmax' },
  {
    ...route,
    rows: 3,
    experts: 160,
    topK: 6,
    scoring: 'softmax',
    groups: 8,
    topGroups: 3,
    scale: 16,
  },
  { ...v3, rows: 9, experts: 64, topK: 6, scale: 2.446, sharedExperts: 2 },
  { ...v3, rows: 5, experts: 256, topK: 8, groups: 8, topGroups: 4, scale: 2.5 },
  { ...v3, rows: 4, experts: 8, topK: 2, groups: 4, topGroups: 2, gap: 3, sharedExperts: 1 },
  { ...v3, rows: 3, experts: 384, topK: 8, logits: 'bf16', gap: 8 },
  { ...v3, rows: 3, experts: 1, topK: 1, graph: true },
];

/** Biases of a deviation that makes up for that of the scores, so that both decide. */
export const routeCases = defineCases<RouteParams, RouteProblem>({
  quick: quickRoutes,
  full: [1, 100, 1000].flatMap((rows) =>
    quickRoutes.slice(0, 4).map((each) => ({ ...each, rows })),
  ),
  cost: ({ rows, experts }) => rows * experts * 50,

  problem(params, random) {
    const { rows, experts, topK, scoring, groups = 1, topGroups = groups } = params;
    const { groupScore = 'max', normalize = false, scale = 1, sharedExperts = 0 } = params;
    return {
      logits: drawNormals(random.stream('logits'), params.logits, [rows, experts], 2),
      bias: params.bias ? drawNormals(random.stream('bias'), 'f32', [experts], 0.3) : undefined,
      ...{ topK, scoring, groups, topGroups, groupScore, normalize, scale, sharedExperts },
    };
  },

  expected(problem, { topK, sharedExperts = 0 }) {
    const { experts, weights } = routeReference(problem);
    const rowLength = topK + sharedExperts;
    return {
      experts: { values: experts, rowLength, tolerance: exact },
      weights: { values: weights, rowLength, tolerance: roundingOf('f32') },
    };
  },

  upload(uploads, problem, { rows, sharedExperts = 0, gap = 0 }) {
    const { logits, bias, topK, ...options } = problem;
    const shape = [rows, topK + sharedExperts];
    const given = gap > 0 ? uploads.putStrided(logits, gap) : uploads.put(logits);
    const all = {
      ...options,
      ...{ logits: given as Tensor<'f32'>, bias: bias && uploads.put(bias), topK },
      experts: uploads.poisoned(shape, 'i32'),
      weights: uploads.poisoned(shape, 'f32'),
    };
    return () => ({ ...routeExperts(all) });
  },
});

interface ExpertParams {
  readonly op: 'expert-mlp';
  readonly rows: number;
  readonly experts: number;
  readonly topK: number;
  readonly hidden: number;
  readonly width: number;
  readonly x: ExpertDType;
  readonly weight: ExpertWeightDType;
  readonly out: ExpertDType;
  readonly residual?: ExpertDType;
  readonly inPlace?: boolean;
  readonly gap?: number;
  readonly graph?: boolean;
}

interface ExpertInputs {
  readonly x: HostTensor;
  readonly experts: HostTensor<'i32'>;
  readonly weights: HostTensor<'f32'>;
  readonly gateUp: Weights;
  readonly down: Weights;
  readonly residual: HostTensor | undefined;
}

interface Weights {
  readonly weight: HostTensor;
  readonly scales: HostTensor<'f32'> | undefined;
}

const bf16 = { op: 'expert-mlp', x: 'bf16', weight: 'bf16', out: 'bf16' } as const;
const f32 = { op: 'expert-mlp', x: 'f32', weight: 'f32', out: 'f32' } as const;

const quickExperts: readonly ExpertParams[] = [
  { ...bf16, rows: 1, experts: 8, topK: 2, hidden: 256, width: 96 },
  { ...bf16, rows: 9, experts: 4, topK: 3, hidden: 64, width: 40, residual: 'bf16', gap: 8 },
  { ...bf16, rows: 30, experts: 3, topK: 2, hidden: 48, width: 33, out: 'f32' },
  { ...bf16, rows: 5, experts: 6, topK: 3, hidden: 128, width: 64, out: 'f32' },
  { ...bf16, rows: 100, experts: 2, topK: 1, hidden: 72, width: 136, residual: 'bf16' },
  { ...bf16, rows: 33, experts: 3, topK: 2, hidden: 640, width: 192, residual: 'bf16', gap: 8 },
  { ...f32, rows: 5, experts: 4, topK: 2, hidden: 37, width: 21, residual: 'f32', inPlace: true },
  { ...f32, rows: 20, experts: 2, topK: 1, hidden: 64, width: 64, graph: true },
  { ...bf16, rows: 2, experts: 4, topK: 2, hidden: 256, width: 128, weight: 'e4m3' },
  {
    ...bf16,
    rows: 14,
    experts: 3,
    topK: 2,
    hidden: 200,
    width: 72,
    weight: 'e4m3',
    residual: 'f32',
  },
];

/** Weights of a deviation that keeps products of the order of 1. */
function drawWeights(random: Random, dtype: ExpertWeightDType, shape: readonly number[]): Weights {
  const deviation = 1 / Math.sqrt(shape[2] as number);
  if (dtype !== 'e4m3')
    return { weight: drawNormals(random, dtype, shape, deviation), scales: undefined };
  const blocks = shape.map((n, d) => (d === 0 ? n : Math.ceil(n / weightScaleBlock)));
  const count = blocks.reduce((product, n) => product * n, 1);
  const data = Float32Array.from(
    { length: count },
    () => (deviation * (1 + random.uniform())) / 16,
  );
  return {
    weight: drawNormals(random, 'e4m3', shape, 16),
    scales: { dtype: 'f32', shape: blocks, data },
  };
}

/** Weights times their scales. */
function unscaled({ weight, scales }: Weights): Float64Array {
  const values = decodeAll(weight);
  if (scales === undefined) return values;
  const [, rows, columns] = weight.shape as [number, number, number];
  const [, rowBlocks, columnBlocks] = scales.shape as [number, number, number];
  return values.map((value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const block = Math.floor(row / rows) * rowBlocks + Math.floor((row % rows) / weightScaleBlock);
    const at = block * columnBlocks + Math.floor(column / weightScaleBlock);
    return value * (scales.data[at] as number);
  });
}

/**
 * Of products of f32 rows and of bf16 rows. The latter may round what stands between their two products to
 * bf16: each term is then off by up to 2⁻⁹ of it, and results of the order of 1 by four deviations of that.
 */
const tolerances: Readonly<Record<ExpertDType, Tolerance>> = {
  f32: { absolute: 1e-4, relative: 1e-4 },
  bf16: { absolute: 1.6e-2, relative: 2.1 / 256 },
};

export const expertCases = defineCases<ExpertParams, ExpertInputs>({
  quick: quickExperts,
  full: [1, 8, 40].flatMap((rows): ExpertParams[] => [
    { ...bf16, rows, experts: 8, topK: 6, hidden: 512, width: 176 },
    { ...bf16, rows, experts: 8, topK: 2, hidden: 512, width: 256, weight: 'e4m3' },
    { ...f32, rows, experts: 8, topK: 4, hidden: 256, width: 100 },
  ]),
  cost: ({ rows, topK, hidden, width }) => 6 * rows * topK * hidden * width,

  problem(params, random) {
    const { rows, experts, topK, hidden, width, weight, residual } = params;
    // Some are no experts; one may stand twice.
    const ids = Int32Array.from({ length: rows * topK }, () => random.integer(0, experts - 1));
    if (rows > 4) ids.set([-1, experts, 2 ** 31 - 1], 2);
    return {
      x: drawNormals(random.stream('x'), params.x, [rows, hidden], 1),
      experts: { dtype: 'i32', shape: [rows, topK], data: ids },
      weights: drawNormals(random.stream('weights'), 'f32', [rows, topK], 0.5),
      gateUp: drawWeights(random.stream('gateUp'), weight, [experts, 2 * width, hidden]),
      down: drawWeights(random.stream('down'), weight, [experts, hidden, width]),
      residual: residual && drawNormals(random.stream('residual'), residual, [rows, hidden], 1),
    };
  },

  expected: ({ gateUp, down, ...inputs }, { x, experts, hidden, width }) => ({
    out: {
      values: expertReference({
        ...{ ...inputs, gateUp: unscaled(gateUp), down: unscaled(down), width, count: experts },
      }),
      ...{ rowLength: hidden, tolerance: tolerances[x] },
    },
  }),

  upload(uploads, inputs, { rows, hidden, out: dtype, inPlace, gap = 0 }) {
    const put = (host: HostTensor) =>
      (gap > 0 ? uploads.putStrided(host, gap) : uploads.put(host)) as Tensor<ExpertDType>;
    const { gateUp, down } = inputs;
    const residual = inputs.residual && put(inputs.residual);
    const options = {
      ...{ x: put(inputs.x), residual, dtype },
      ...{ experts: uploads.put(inputs.experts), weights: uploads.put(inputs.weights) },
      ...{ gateUp: put(gateUp.weight), down: put(down.weight) },
      gateUpScales: gateUp.scales && uploads.put(gateUp.scales),
      downScales: down.scales && uploads.put(down.scales),
      out: inPlace && residual ? residual : uploads.poisoned([rows, hidden], dtype),
    };
    return () => ({ out: expertMlp(options as never) as Tensor });
  },
});
