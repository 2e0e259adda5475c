import {
  checkExtent,
  checkFlag,
  checkVector,
  optionNames,
  readOptions,
} from '../../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkMatrix,
  checkNumber,
  viewOf,
} from '../../../runtime/operation/tensors.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { indexDim } from '../limits.ts';
import { indexRowsOperation } from '../operations.ts';
import { checkIndexCache } from './check-heads.ts';
import { checkRotation, type IndexRotation } from './rope-tables.ts';

/** Arguments of {@link storeIndexKeys}. */
export interface StoreIndexKeysOptions extends IndexRotation {
  /** (rows, 128); rows may be apart. `rows` may be 0. */
  readonly k: Tensor<'bf16'> | Tensor<'f32'>;
  /** (128) of the LayerNorm, both of one dtype. */
  readonly normWeight: Tensor<'bf16'> | Tensor<'f32'>;
  readonly normBias: Tensor<'bf16'> | Tensor<'f32'>;
  /** Added to the variance: 0 to 1. Default 1e-6. */
  readonly eps?: number | null | undefined;
  /** (pages, P, 1, 132), contiguous, P a multiple of 16. A page has P keys of 128 bytes, then P scales. */
  readonly indexCache: Tensor<'u8'>;
  /** (rows): page · P + place for each row. A row whose slot is none, such as −1, is not stored. */
  readonly slots: Tensor<'i32'>;
}

const known = optionNames<keyof StoreIndexKeysOptions>(
  ...(['k', 'normWeight', 'normBias', 'eps', 'cos', 'sin', 'positions', 'pairs'] as const),
  ...(['hadamard', 'indexCache', 'slots'] as const),
);
const dtypes = ['bf16', 'f32'] as const;

/**
 * Writes index keys into a paged cache: LayerNorm with weight and bias, rotation of the first 64
 * dimensions, Hadamard, e4m3 with a scale that is a power of two; all in float32, rounded once. Slots
 * must not name a place twice. Returns `indexCache`. Only enqueues, and may be recorded by
 * `device.capture`.
 *
 * Source: the lightning indexer of DeepSeek V3.2; the layout of a page is the one that its serving
 * engines share: first all keys, then all scales as float32.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function storeIndexKeys(options: StoreIndexKeysOptions): Tensor<'u8'> {
  const given = readOptions(options, known);
  const k: Tensor = given.k;
  checkMatrix('k', k, 2, dtypes);
  const { device } = k;
  const [rows = 0] = k.shape;
  checkExtent('k', k, 1, indexDim, 'dimensions of an index key');
  const { normWeight, normBias } = given;
  checkMatrix('normWeight', normWeight, 1, dtypes, device);
  checkVector('normWeight', normWeight, normWeight.dtype, device, indexDim, 'dimensions');
  checkVector('normBias', normBias, normWeight.dtype, device, indexDim, 'dimensions');
  const eps = checkNumber('eps', given.eps ?? 1e-6, 0, 1);
  const interleaved = checkRotation(given, rows, device);
  const hadamard = checkFlag('hadamard', given.hadamard, true);
  const { cos, sin, positions, slots, indexCache: cache } = given;
  checkIndexCache('indexCache', cache, device);
  checkVector('slots', slots, 'i32', device, rows, 'rows');
  checkApart('indexCache', cache, { k, normWeight, normBias, cos, sin, positions, slots });
  if (rows > 0) {
    device.backend.run(indexRowsOperation, {
      x: viewOf(k, [rows, 1, indexDim], [k.strides[0] ?? 0, indexDim, 1]),
      ...{ cos, sin, positions, interleaved, hadamard },
      target: { kind: 'keys', normWeight, normBias, eps, cache, slots },
    });
  }
  return cache;
}
