import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkFlag,
  checkNotEmpty,
  optionNames,
  readOptions,
  shapeText,
} from '../../runtime/operation/arguments.ts';
import { isSame } from '../../runtime/operation/same.ts';
import {
  checkApart,
  checkChoice,
  checkMatrix,
  checkNumber,
  checkShape,
  takeOutput,
  viewOf,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { weightScaleBlock } from './limits.ts';
import { gemmOperation } from './operation.ts';

/** Dtypes of rows, biases, residuals and results. */
export type LinearDType = 'bf16' | 'f32';

/** Dtypes of weights. */
export type LinearWeightDType = LinearDType | 'e4m3';

/** Arguments of {@link linear}. */
export interface LinearOptions<D extends LinearDType = LinearDType> {
  /** (rows, depth); rows may be apart. `rows` may be 0. */
  readonly x: Tensor<LinearDType>;
  /** (columns, depth), as checkpoints hold it; rows may be apart. */
  readonly weight: Tensor<LinearWeightDType>;
  /** f32 (⌈columns / 128⌉, ⌈depth / 128⌉): what a block of e4m3 weights is multiplied by. */
  readonly weightScales?: Tensor<'f32'> | null | undefined;
  /** (columns). */
  readonly bias?: Tensor<LinearDType> | null | undefined;
  /** (rows, columns), added to the result. May be `out`, which then grows. */
  readonly residual?: Tensor<LinearDType> | null | undefined;
  /** Multiplies the product and the bias, not the residual; default 1. */
  readonly scale?: number | null | undefined;
  /**
   * Whether a device may round rows of x to e4m3, with a scale for each 128 of the depth, where that is
   * faster: for e4m3 weights, whose models are trained for it. Default false.
   */
  readonly allowE4m3Rows?: boolean | null | undefined;
  /** Of the result; default that of `out`, or else of `x`. */
  readonly dtype?: D | null | undefined;
  /** (rows, columns) to write to; rows may be apart. Default: a new tensor. */
  readonly out?: Tensor<D> | null | undefined;
}

const known = optionNames<keyof LinearOptions>(
  ...(['x', 'weight', 'weightScales', 'bias', 'residual', 'scale', 'dtype', 'out'] as const),
  'allowE4m3Rows',
);
export const linearDTypes = ['bf16', 'f32'] as const;
const weightDTypes = ['bf16', 'f32', 'e4m3'] as const;
const mostScale = 2 ** 100;

/**
 * `scale · (x · weightᵀ + bias) + residual`, (rows, columns). Products are summed in float32, and the
 * result is rounded once. Only enqueues, and may be recorded by `device.capture`.
 *
 * How sums are ordered depends on the device and on the sizes, not on what is in other rows: on one
 * device a row of x gives the same result wherever it stands among as many rows.
 *
 * Source: `torch.nn.functional.linear`; block-scaled weights as in the checkpoints of DeepSeek-V3, whose
 * `weight_scale_inv` is `weightScales`.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function linear<D extends LinearDType = LinearDType>(options: LinearOptions<D>): Tensor<D> {
  const given = readOptions(options, known);
  const { x, weight } = given;
  checkMatrix('x', x, 2, linearDTypes);
  checkNotEmpty('x', x, 1);
  const { device } = x;
  const [rows = 0, depth = 0] = x.shape;
  checkMatrix('weight', weight, 2, weightDTypes, device);
  checkNotEmpty('weight', weight);
  const [columns = 0] = weight.shape;
  checkShape('weight', weight, [columns, depth], '(columns, depth of x)');
  const weightScales = checkScales(given.weightScales ?? undefined, weight);
  const bias = given.bias ?? undefined;
  if (bias !== undefined) {
    checkMatrix('bias', bias, 1, linearDTypes, device);
    checkShape('bias', bias, [columns], '(columns)');
  }
  const scale = checkNumber('scale', given.scale ?? 1, -mostScale, mostScale);
  const allowsE4m3Rows =
    checkFlag('allowE4m3Rows', given.allowE4m3Rows, false) && weight.dtype === 'e4m3';
  const residual = given.residual ?? undefined;
  if (residual !== undefined) {
    checkMatrix('residual', residual, 2, linearDTypes, device);
    checkShape('residual', residual, [rows, columns], '(rows, columns)');
  }
  const fallback = (given.out as Tensor | null | undefined)?.dtype ?? x.dtype;
  const dtype = checkChoice('dtype', given.dtype ?? fallback, linearDTypes, x.dtype);
  const owned: Tensor[] = [];
  try {
    const out = takeOutput('out', given.out, [rows, columns], dtype, device, owned);
    checkApart('out', out, { x, weight, weightScales, bias });
    if (residual !== undefined && !isSame(residual, out)) checkApart('out', out, { residual });
    if (rows > 0) {
      const [weightStride = 0] = weight.strides;
      device.backend.run(gemmOperation, {
        x: asBatch(x),
        weight: viewOf(weight, [1, columns, depth], [0, weightStride, 1]),
        ...{ transposed: false, weightScales, bias, scale, allowsE4m3Rows },
        residual: residual && asBatch(residual),
        out: asBatch(out),
      });
    }
    return out as unknown as Tensor<D>;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}

/** (rows, n) as (rows, 1, n). */
function asBatch(tensor: Tensor) {
  const [rows = 0, columns = 0] = tensor.shape;
  const [stride = 0] = tensor.strides;
  return viewOf(tensor, [rows, 1, columns], [stride, 0, 1]);
}

function checkScales(
  scales: Tensor<'f32'> | undefined,
  weight: Tensor<LinearWeightDType>,
): Tensor<'f32'> | undefined {
  const isScaled = weight.dtype === 'e4m3';
  if (!isScaled && scales === undefined) return undefined;
  if (!isScaled || scales === undefined) {
    throw new InvalidArgumentError(
      'weightScales',
      isScaled ? 'a tensor for e4m3 weights' : `none for ${weight.dtype} weights`,
      scales === undefined ? 'none' : shapeText(scales),
    );
  }
  checkMatrix('weightScales', scales, 2, ['f32'], weight.device);
  const blocks = weight.shape.map((n) => Math.ceil(n / weightScaleBlock));
  checkShape('weightScales', scales, blocks, '(⌈columns / 128⌉, ⌈depth / 128⌉)');
  return scales;
}
