import {
  checkFlag,
  checkNotEmpty,
  optionNames,
  readOptions,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkChoice,
  checkMatrix,
  checkShape,
  takeOutput,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { type LinearDType, linearDTypes } from './linear.ts';
import { gemmOperation } from './operation.ts';

/** Arguments of {@link batchedLinear}. */
export interface BatchedLinearOptions<D extends LinearDType = LinearDType> {
  /** (rows, batch, depth), any outer strides. `rows` may be 0. */
  readonly x: Tensor<LinearDType>;
  /** (batch, columns, depth), or `transposed` (batch, depth, columns); any outer strides. */
  readonly weight: Tensor<LinearDType>;
  /** Whether the rows of a weight matrix are what is summed over; default false. */
  readonly transposed?: boolean | null | undefined;
  /** Of the result; default that of `out`, or else of `x`. */
  readonly dtype?: D | null | undefined;
  /** (rows, batch, columns) to write to, any outer strides. Default: a new tensor. */
  readonly out?: Tensor<D> | null | undefined;
}

const known = optionNames<keyof BatchedLinearOptions>(
  ...(['x', 'weight', 'transposed', 'dtype', 'out'] as const),
);

/**
 * `x[:, b] · weight[b]ᵀ` for each matrix of a batch, such as the heads of an absorbed projection:
 * (rows, batch, columns). Summed in float32, rounded once. Only enqueues, and may be recorded by
 * `device.capture`.
 *
 * A projection up from the latent, (heads · (nope + v), latent) in a checkpoint, serves both ways as two
 * views of it: queries into the latent's space by its first rows, `transposed`, and results out of it by
 * its last.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function batchedLinear<D extends LinearDType = LinearDType>(
  options: BatchedLinearOptions<D>,
): Tensor<D> {
  const given = readOptions(options, known);
  const { x, weight } = given;
  checkMatrix('x', x, 3, linearDTypes);
  checkNotEmpty('x', x, 1);
  const { device } = x;
  const [rows = 0, batch = 0, depth = 0] = x.shape;
  checkMatrix('weight', weight, 3, linearDTypes, device);
  checkNotEmpty('weight', weight);
  const transposed = checkFlag('transposed', given.transposed, false);
  const columns = weight.shape[transposed ? 2 : 1] as number;
  if (transposed) checkShape('weight', weight, [batch, depth, columns], '(batch, depth, columns)');
  else checkShape('weight', weight, [batch, columns, depth], '(batch, columns, depth)');
  const fallback = (given.out as Tensor | null | undefined)?.dtype ?? x.dtype;
  const dtype = checkChoice('dtype', given.dtype ?? fallback, linearDTypes, x.dtype);
  const owned: Tensor[] = [];
  try {
    const out = takeOutput('out', given.out, [rows, batch, columns], dtype, device, owned);
    checkApart('out', out, { x, weight });
    if (rows > 0) {
      device.backend.run(gemmOperation, {
        ...{ x, weight, transposed, out, scale: 1, allowsE4m3Rows: false },
        ...{ weightScales: undefined, bias: undefined, residual: undefined },
      });
    }
    return out as unknown as Tensor<D>;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
