import {
  checkNotEmpty,
  checkOperand,
  checkVector,
  optionNames,
  readOptions,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkChoice,
  checkMatrix,
  checkNumber,
  takeOutput,
} from '../../runtime/operation/tensors.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { embeddingOperation } from './operation.ts';

/** Arguments of {@link embedding}. */
export interface EmbeddingOptions<D extends 'bf16' | 'f32' = 'bf16' | 'f32'> {
  /** (entries, columns), rows may be apart. */
  readonly table: Tensor<'bf16' | 'f32'>;
  /** (rows): which entries. One that is not in the table gives a row of zeros. */
  readonly ids: Tensor<'i32'>;
  /** What entries are multiplied by; default 1. */
  readonly scale?: number | null | undefined;
  /** Of the result; default that of `out`, or else of `table`. */
  readonly dtype?: D | null | undefined;
  /** (rows, columns) to write to; rows may be apart. Default: a new tensor. */
  readonly out?: Tensor<D> | null | undefined;
}

const known = optionNames<keyof EmbeddingOptions>('table', 'ids', 'scale', 'dtype', 'out');
const dtypes = ['bf16', 'f32'] as const;
const mostScale = 2 ** 100;

/**
 * The rows `scale · table[ids[i]]`: (rows, columns). The table may be a model's embedding, or the rows of
 * a batch of which some are wanted. Only enqueues, and may be recorded by `device.capture`: ids may change
 * between replays.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function embedding<D extends 'bf16' | 'f32' = 'bf16' | 'f32'>(
  options: EmbeddingOptions<D>,
): Tensor<D> {
  const given = readOptions(options, known);
  const { table, ids } = given;
  checkMatrix('table', table, 2, dtypes);
  checkNotEmpty('table', table);
  const { device } = table;
  const [, columns = 0] = table.shape;
  checkOperand('ids', ids, 1, 'i32', device);
  const [rows = 0] = ids.shape;
  checkVector('ids', ids, 'i32', device, rows, 'rows');
  const scale = checkNumber('scale', given.scale ?? 1, -mostScale, mostScale);
  const fallback = (given.out as Tensor | null | undefined)?.dtype ?? table.dtype;
  const dtype = checkChoice('dtype', given.dtype ?? fallback, dtypes, table.dtype);
  const owned: Tensor[] = [];
  try {
    const out = takeOutput('out', given.out, [rows, columns], dtype, device, owned);
    checkApart('out', out, { table, ids });
    if (rows > 0) device.backend.run(embeddingOperation, { table, ids, scale, out });
    return out as unknown as Tensor<D>;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
