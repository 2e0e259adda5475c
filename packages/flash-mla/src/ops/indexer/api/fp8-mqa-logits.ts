import {
  checkExtent,
  checkFlag,
  checkNotEmpty,
  checkVector,
  optionNames,
  readOptions,
} from '../../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkContiguous,
  checkMatrix,
  checkShape,
  takeOutput,
} from '../../../runtime/operation/tensors.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { indexDim } from '../limits.ts';
import { mqaLogitsOperation } from '../operations.ts';
import { checkAligned, checkIndexHeads } from './check-heads.ts';

/** Arguments of {@link fp8MqaLogits}. */
export interface Fp8MqaLogitsOptions {
  /** (rows, heads, 128), contiguous, 1 to 64 heads. `rows` may be 0. */
  readonly q: Tensor<'e4m3'>;
  /** (rows, heads), contiguous. */
  readonly weights: Tensor<'f32'>;
  /** (keys, 128), contiguous. */
  readonly k: Tensor<'e4m3'>;
  /** (keys), contiguous: what each key is multiplied by. */
  readonly kScales: Tensor<'f32'>;
  /** (rows): a query sees the keys from `cuSeqlenKs` on and before `cuSeqlenKe`. */
  readonly cuSeqlenKs: Tensor<'i32'>;
  readonly cuSeqlenKe: Tensor<'i32'>;
  /** Puts −∞ where a query sees no key; else such columns are left as they are. Default true. */
  readonly cleanLogits?: boolean | null | undefined;
  /** (rows, keys) to write to; rows may be apart. Default: a new tensor. */
  readonly out?: Tensor<'f32'> | null | undefined;
}

const known = optionNames<keyof Fp8MqaLogitsOptions>(
  ...(['q', 'weights', 'k', 'kScales', 'cuSeqlenKs', 'cuSeqlenKe', 'cleanLogits', 'out'] as const),
);

/**
 * {@link fp8PagedMqaLogits} for keys that lie one after the other, those of several requests too: a
 * query sees a range of them. f32 (rows, keys).
 *
 * Source: name and shapes are those of DeepGEMM's `fp8_mqa_logits`.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function fp8MqaLogits(options: Fp8MqaLogitsOptions): Tensor<'f32'> {
  const given = readOptions(options, known);
  const { q, weights, k, kScales, cuSeqlenKs, cuSeqlenKe } = given;
  checkMatrix('q', q, 3, ['e4m3']);
  const { device } = q;
  const [rows = 0, heads = 0] = q.shape;
  checkIndexHeads('q', q);
  checkExtent('q', q, 2, indexDim, 'dimensions of an index query');
  checkContiguous('q', q);
  checkAligned('q', q);
  checkMatrix('weights', weights, 2, ['f32'], device);
  checkShape('weights', weights, [rows, heads], '(rows, heads)');
  checkContiguous('weights', weights);
  checkMatrix('k', k, 2, ['e4m3'], device);
  checkNotEmpty('k', k);
  checkExtent('k', k, 1, indexDim, 'dimensions of an index key');
  checkContiguous('k', k);
  checkAligned('k', k);
  const keys = k.shape[0] as number;
  checkVector('kScales', kScales, 'f32', device, keys, 'keys');
  checkVector('cuSeqlenKs', cuSeqlenKs, 'i32', device, rows, 'rows');
  checkVector('cuSeqlenKe', cuSeqlenKe, 'i32', device, rows, 'rows');
  const cleanLogits = checkFlag('cleanLogits', given.cleanLogits, true);
  const owned: Tensor[] = [];
  try {
    const logits = takeOutput('out', given.out, [rows, keys], 'f32', device, owned);
    checkApart('out', logits, { q, weights, k, kScales, cuSeqlenKs, cuSeqlenKe });
    if (rows > 0) {
      device.backend.run(mqaLogitsOperation, {
        ...{ q, weights, queriesPerRequest: rows, ends: cuSeqlenKe, cleanLogits, logits },
        keys: { kind: 'ragged', keys: k, scales: kScales, starts: cuSeqlenKs },
      });
    }
    return logits;
  } catch (error) {
    for (const tensor of owned) tensor.dispose();
    throw error;
  }
}
