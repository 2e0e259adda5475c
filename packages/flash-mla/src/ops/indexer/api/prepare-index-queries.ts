import {
  checkExtent,
  checkFlag,
  optionNames,
  readOptions,
} from '../../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkMatrix,
  checkShape,
  takeContiguous,
} from '../../../runtime/operation/tensors.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { indexDim } from '../limits.ts';
import { indexRowsOperation } from '../operations.ts';
import { checkIndexHeads } from './check-heads.ts';
import { checkRotation, type IndexRotation } from './rope-tables.ts';

/** Arguments of {@link prepareIndexQueries}. */
export interface PrepareIndexQueriesOptions extends IndexRotation {
  /** (rows, heads, 128), 1 to 64 heads; any outer strides. `rows` may be 0. */
  readonly q: Tensor<'bf16'> | Tensor<'f32'>;
  /** (rows, heads); rows may be apart. */
  readonly weights: Tensor<'bf16'> | Tensor<'f32'>;
  /** (rows, heads, 128), contiguous, to write to. Default: a new tensor. */
  readonly outQ?: Tensor<'e4m3'> | null | undefined;
  /** (rows, heads), contiguous, to write to. Default: a new tensor. */
  readonly outWeights?: Tensor<'f32'> | null | undefined;
}

/** What {@link prepareIndexQueries} gives. */
export interface IndexQueries {
  /** (rows, heads, 128). */
  readonly q: Tensor<'e4m3'>;
  /** (rows, heads): what the logits of each head are multiplied by; the scale of the query is in it. */
  readonly weights: Tensor<'f32'>;
}

const known = optionNames<keyof PrepareIndexQueriesOptions>(
  ...(['q', 'weights', 'cos', 'sin', 'positions', 'pairs', 'hadamard'] as const),
  ...(['outQ', 'outWeights'] as const),
);

/**
 * Index queries as `fp8MqaLogits` and `fp8PagedMqaLogits` take them: the first 64 dimensions of each head
 * are rotated, all are multiplied by the Hadamard matrix and rounded to e4m3 with a scale that is a power
 * of two. A weight becomes weight · heads^−½ · 128^−½ · scale. In float32, rounded once. Only enqueues,
 * and may be recorded by `device.capture`.
 *
 * Source: the lightning indexer of DeepSeek V3.2.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function prepareIndexQueries(options: PrepareIndexQueriesOptions): IndexQueries {
  const given = readOptions(options, known);
  const q: Tensor = given.q;
  checkMatrix('q', q, 3, ['bf16', 'f32']);
  const { device } = q;
  const [rows = 0, heads = 0] = q.shape;
  checkIndexHeads('q', q);
  checkExtent('q', q, 2, indexDim, 'dimensions of an index query');
  const weights: Tensor = given.weights;
  checkMatrix('weights', weights, 2, ['bf16', 'f32'], device);
  checkShape('weights', weights, [rows, heads], '(rows, heads)');
  const interleaved = checkRotation(given, rows, device);
  const hadamard = checkFlag('hadamard', given.hadamard, true);
  const { cos, sin, positions } = given;
  const owned: Tensor[] = [];
  try {
    const out = takeContiguous('outQ', given.outQ, q.shape, 'e4m3', device, owned);
    const shape = [rows, heads];
    const outWeights = takeContiguous('outWeights', given.outWeights, shape, 'f32', device, owned);
    checkApart('outQ', out, { q, weights, cos, sin, positions });
    checkApart('outWeights', outWeights, { q, weights, cos, sin, positions, outQ: out });
    if (rows > 0) {
      device.backend.run(indexRowsOperation, {
        ...{ x: q, cos, sin, positions, interleaved, hadamard },
        target: { kind: 'queries', weights, out, outWeights },
      });
    }
    return { q: out, weights: outWeights };
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
