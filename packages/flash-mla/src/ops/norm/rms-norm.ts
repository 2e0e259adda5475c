import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkAbsent,
  checkDisjoint,
  checkNotEmpty,
  optionNames,
  readOptions,
  shapeText,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkChoice,
  checkMatrix,
  checkNumber,
  checkShape,
  takeOutput,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { maxColumns, scaleColumns } from './limits.ts';
import { rmsNormOperation } from './operation.ts';

/** Dtypes of rows, of a residual and of a weight. */
export type NormDType = 'bf16' | 'f32';

/** Dtypes of normed rows. */
export type NormOutDType = 'bf16' | 'f32' | 'e4m3';

/** `f32`: the largest magnitude / 448. `ue8m0`: that, rounded up to a power of two. */
export type ScaleFormat = 'f32' | 'ue8m0';

/** Arguments of {@link rmsNorm}. */
export interface RmsNormOptions<D extends NormOutDType = NormOutDType> {
  /** (rows, columns), 1 to 32768 columns; rows may be apart. `rows` may be 0. */
  readonly x: Tensor<NormDType>;
  /** (columns). */
  readonly weight: Tensor<NormDType>;
  /** Added to the mean of squares: 0 to 1. */
  readonly eps: number;
  /** (rows, columns): overwritten with `x + residual`, which is then what is normed. */
  readonly residual?: Tensor<NormDType> | null | undefined;
  /** Of the result; default that of `out`, or else of `x`. */
  readonly dtype?: D | null | undefined;
  /** (rows, columns) to write to; rows may be apart. Default: a new tensor. */
  readonly out?: Tensor<D> | null | undefined;
  /** e4m3 only: f32 (rows, columns / 128), contiguous, to write to. Default: a new tensor. */
  readonly scales?: Tensor<'f32'> | null | undefined;
  /** e4m3 only; default `f32`. */
  readonly scaleFormat?: ScaleFormat | null | undefined;
}

/** What {@link rmsNorm} gives. */
export interface RmsNormResult<D extends NormOutDType = NormOutDType> {
  /** (rows, columns). */
  readonly out: Tensor<D>;
  /** f32 (rows, columns / 128): what 128 columns of an e4m3 row are multiplied by; else undefined. */
  readonly scales: D extends 'e4m3' ? Tensor<'f32'> : undefined;
}

const known = optionNames<keyof RmsNormOptions>(
  ...(['x', 'weight', 'eps', 'residual', 'dtype', 'out', 'scales', 'scaleFormat'] as const),
);
const dtypes = ['bf16', 'f32'] as const;
const outDTypes = ['bf16', 'f32', 'e4m3'] as const;

/**
 * `x / √(mean(x²) + eps) · weight` for each row, all of it in float32. With a residual, `x + residual`
 * is computed in float32, rounded to the dtype of the residual and stored there; that rounded sum is
 * what is normed, so the result is the same as that of adding and norming in two calls.
 *
 * An e4m3 result comes with a scale for each 128 columns, at least 1e-4 / 448; `columns` must be a
 * multiple of 128 then. Only enqueues, and may be recorded by `device.capture`.
 *
 * Source: Zhang and Sennrich, "Root Mean Square Layer Normalization"; the scales are those of
 * DeepSeek-V3's activations (one for each token and 128 channels).
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function rmsNorm<D extends NormOutDType = NormDType>(
  options: RmsNormOptions<D>,
): RmsNormResult<D> {
  const given = readOptions(options, known);
  const { x, weight } = given;
  checkMatrix('x', x, 2, dtypes);
  checkNotEmpty('x', x, 1);
  const { device, shape } = x;
  const [rows = 0, columns = 0] = shape;
  if (columns > maxColumns) {
    throw new InvalidArgumentError('x.shape[1]', `at most ${maxColumns} columns`, shapeText(x));
  }
  checkMatrix('weight', weight, 1, dtypes, device);
  checkShape('weight', weight, [columns], '(columns)');
  const eps = checkNumber('eps', given.eps, 0, 1);
  const residual = given.residual ?? undefined;
  if (residual !== undefined) {
    checkMatrix('residual', residual, 2, dtypes, device);
    checkShape('residual', residual, shape, '(rows, columns)');
    checkDisjoint('residual', residual);
    checkApart('residual', residual, { x, weight });
  }
  const fallback = (given.out as Tensor | null | undefined)?.dtype ?? x.dtype;
  const dtype = checkChoice('dtype', given.dtype ?? fallback, outDTypes, x.dtype);
  const isE4m3 = dtype === 'e4m3';
  if (!isE4m3) {
    checkAbsent('scales', given.scales, `A result of ${dtype} has none.`);
    checkAbsent('scaleFormat', given.scaleFormat, `A result of ${dtype} has no scales.`);
  } else if (columns % scaleColumns !== 0) {
    const remedy = `A scale is for ${scaleColumns} columns.`;
    const expected = `a multiple of ${scaleColumns} for an e4m3 result`;
    throw new InvalidArgumentError('x.shape[1]', expected, shapeText(x), remedy);
  }
  const format = checkChoice('scaleFormat', given.scaleFormat, ['f32', 'ue8m0'], 'f32');
  const owned: Tensor[] = [];
  try {
    const out = takeOutput('out', given.out, shape, dtype, device, owned);
    const scales = isE4m3 ? takeScales(given.scales, rows, columns, x, owned) : undefined;
    checkApart('out', out, { x, weight, residual });
    if (scales) checkApart('scales', scales, { x, weight, residual, out });
    if (rows > 0) {
      device.backend.run(rmsNormOperation, {
        ...{ x, residual, weight, eps, out, scales },
        powerOfTwoScales: format === 'ue8m0',
      });
    }
    return { out, scales } as unknown as RmsNormResult<D>;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}

function takeScales(
  given: unknown,
  rows: number,
  columns: number,
  { device }: Tensor,
  owned: Tensor[],
): Tensor<'f32'> {
  const count = columns / scaleColumns;
  const scales = takeOutput('scales', given, [rows, count], 'f32', device, owned);
  if (!scales.isContiguous) {
    const strides = `strides (${scales.strides.join(', ')})`;
    throw new InvalidArgumentError('scales', 'a contiguous tensor', strides);
  }
  return scales;
}
