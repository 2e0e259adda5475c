import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkExtent,
  checkNotEmpty,
  optionNames,
  readOptions,
  shapeText,
} from '../../runtime/operation/arguments.ts';
import { isSame } from '../../runtime/operation/same.ts';
import {
  checkApart,
  checkChoice,
  checkContiguous,
  checkMatrix,
  checkShape,
  takeOutput,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { weightScaleBlock } from '../gemm/index.ts';
import { maxTopK } from './limits.ts';
import { expertMlpOperation } from './operation.ts';

/** Dtypes of rows, residuals and results. */
export type ExpertDType = 'bf16' | 'f32';

/** Dtypes of the weights of experts. */
export type ExpertWeightDType = ExpertDType | 'e4m3';

/** Arguments of {@link expertMlp}. */
export interface ExpertMlpOptions<D extends ExpertDType = ExpertDType> {
  /** (rows, hidden), rows may be apart. `rows` may be 0. */
  readonly x: Tensor<ExpertDType>;
  /** (rows, topK), contiguous, topK at most 64. A number that is no expert adds nothing. */
  readonly experts: Tensor<'i32'>;
  /** (rows, topK), contiguous. */
  readonly weights: Tensor<'f32'>;
  /** (experts, 2 · width, hidden): of each the gates, then what they are multiplied with. */
  readonly gateUp: Tensor<ExpertWeightDType>;
  /** (experts, hidden, width), of the same dtype. */
  readonly down: Tensor<ExpertWeightDType>;
  /** (experts, ⌈2 · width / 128⌉, ⌈hidden / 128⌉): for e4m3 weights, as in `linear`. */
  readonly gateUpScales?: Tensor<'f32'> | null | undefined;
  /** (experts, ⌈hidden / 128⌉, ⌈width / 128⌉). */
  readonly downScales?: Tensor<'f32'> | null | undefined;
  /** (rows, hidden), added to the result. May be `out`, which then grows. */
  readonly residual?: Tensor<ExpertDType> | null | undefined;
  /** Of the result; default that of `out`, or else of `x`. */
  readonly dtype?: D | null | undefined;
  /** (rows, hidden) to write to; rows may be apart. Default: a new tensor. */
  readonly out?: Tensor<D> | null | undefined;
}

const known = optionNames<keyof ExpertMlpOptions>(
  ...([
    ...(['x', 'experts', 'weights', 'gateUp', 'down', 'gateUpScales', 'downScales'] as const),
    ...(['residual', 'dtype', 'out'] as const),
  ] as const),
);
const dtypes = ['bf16', 'f32'] as const;
const weightDTypes = ['bf16', 'f32', 'e4m3'] as const;

/**
 * `residual + Σₖ weights[:, k] · down · (silu(gate · x) ⊙ (up · x))` over the experts of each row:
 * (rows, hidden). The sum over k is in that order and in float32, so results do not depend on how rows
 * are spread over experts. Only enqueues, and may be recorded by `device.capture`.
 *
 * Source: the mixture of experts of DeepSeek-V2 and V3; {@link routeExperts} gives experts and weights.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function expertMlp<D extends ExpertDType = ExpertDType>(
  options: ExpertMlpOptions<D>,
): Tensor<D> {
  const given = readOptions(options, known);
  const { x, experts, weights, gateUp, down } = given;
  checkMatrix('x', x, 2, dtypes);
  checkNotEmpty('x', x, 1);
  const { device } = x;
  const [rows = 0, hidden = 0] = x.shape;
  checkMatrix('experts', experts, 2, ['i32'] as const, device);
  checkNotEmpty('experts', experts, 1);
  const topK = experts.shape[1] as number;
  checkShape('experts', experts, [rows, Math.min(topK, maxTopK)], '(rows, at most 64)');
  checkContiguous('experts', experts);
  checkMatrix('weights', weights, 2, ['f32'] as const, device);
  checkShape('weights', weights, [rows, topK], '(rows, topK)');
  checkContiguous('weights', weights);
  const width = checkWeights(gateUp, down, x);
  const gateUpScales = checkScales('gateUpScales', given.gateUpScales ?? undefined, gateUp);
  const downScales = checkScales('downScales', given.downScales ?? undefined, down);
  const residual = given.residual ?? undefined;
  if (residual !== undefined) {
    checkMatrix('residual', residual, 2, dtypes, device);
    checkShape('residual', residual, [rows, hidden], '(rows, hidden)');
  }
  const fallback = (given.out as Tensor | null | undefined)?.dtype ?? x.dtype;
  const dtype = checkChoice('dtype', given.dtype ?? fallback, dtypes, x.dtype);
  const owned: Tensor[] = [];
  try {
    const out = takeOutput('out', given.out, [rows, hidden], dtype, device, owned);
    checkApart('out', out, { x, experts, weights, gateUp, down, gateUpScales, downScales });
    if (residual !== undefined && !isSame(residual, out)) checkApart('out', out, { residual });
    if (rows > 0 && width > 0) {
      device.backend.run(expertMlpOperation, {
        ...{ x, experts, weights, gateUp, down, gateUpScales, downScales, residual, out },
      });
    }
    return out as unknown as Tensor<D>;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}

/** The width of the experts. */
function checkWeights(gateUp: unknown, down: unknown, x: Tensor): number {
  checkMatrix('gateUp', gateUp, 3, weightDTypes, x.device);
  checkNotEmpty('gateUp', gateUp);
  const [count = 0, both = 0] = gateUp.shape;
  if (both % 2 !== 0) {
    throw new InvalidArgumentError(
      'gateUp.shape[1]',
      'gates and as many rows more',
      shapeText(gateUp),
    );
  }
  checkExtent('gateUp', gateUp, 2, x.shape[1] as number, 'hidden of x');
  checkMatrix('down', down, 3, [gateUp.dtype], x.device);
  checkShape('down', down, [count, x.shape[1] as number, both / 2], '(experts, hidden, width)');
  return both / 2;
}

function checkScales(
  name: string,
  scales: Tensor<'f32'> | undefined,
  weights: Tensor,
): Tensor<'f32'> | undefined {
  const isScaled = weights.dtype === 'e4m3';
  if (!isScaled && scales === undefined) return undefined;
  if (!isScaled || scales === undefined) {
    const expected = isScaled ? 'a tensor for e4m3 weights' : `none for ${weights.dtype} weights`;
    throw new InvalidArgumentError(name, expected, scales ? shapeText(scales) : 'none');
  }
  checkMatrix(name, scales, 3, ['f32'] as const, weights.device);
  const blocks = weights.shape.map((n, d) => (d === 0 ? n : Math.ceil(n / weightScaleBlock)));
  checkShape(name, scales, blocks, 'one for each block of 128 × 128');
  return scales;
}
