import {
  checkExtent,
  checkHeads,
  checkInnerStride,
  checkInteger,
  checkNotEmpty,
  checkOperand,
  checkOptionalVector,
  checkScale,
  checkTensor,
  optionNames,
  readOptions,
} from '../../../runtime/operation/arguments.ts';
import { Outputs } from '../../../runtime/operation/outputs.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import { sparsePrefill } from '../operations.ts';
import { checkSparseHeadDims } from './head-dims.ts';

/** Arguments of {@link flashMlaSparseFwd}. */
export interface FlashMlaSparseFwdOptions {
  /** (sQ, hQ, dQk), dQk 576 or 512, any outer strides. */
  readonly q: Tensor<'bf16'>;
  /** (sKv, hKv, dQk), any outer strides; V is the first `dV` columns; hKv divides hQ. */
  readonly kv: Tensor<'bf16'>;
  /** i32 (sQ, hKv, topk): rows of `kv`; anything outside (−1, ≥ sKv) is skipped. */
  readonly indices: Tensor<'i32'>;
  /** Factor of the logits, a normal float32: 2^-126 to 3.4e38. */
  readonly smScale: number;
  /** Columns of V. Default 512. */
  readonly dV?: number | undefined;
  /** f32 (hQ): out is multiplied by exp(lse) / (exp(lse) + exp(sink)); lse is unchanged. */
  readonly attnSink?: Tensor<'f32'> | null | undefined;
  /** i32 (sQ): how many entries of `indices` count, from the left. Default all. */
  readonly topkLength?: Tensor<'i32'> | null | undefined;
  /** Outputs to write to instead of new ones: bf16 (sQ, hQ, dV), f32 (sQ, hQ) each; contiguous, `out` aligned to 16 bytes. */
  readonly out?: Tensor<'bf16'> | null | undefined;
  readonly maxLogits?: Tensor<'f32'> | null | undefined;
  readonly lse?: Tensor<'f32'> | null | undefined;
}

/** What {@link flashMlaSparseFwd} gives back. All are the caller's to dispose of. */
export interface SparseFwdResult {
  /** (sQ, hQ, dV). */
  readonly out: Tensor<'bf16'>;
  /** f32 (sQ, hQ): the largest scaled logit; −inf for rows that attend to nothing, NaN where the lse is NaN. */
  readonly maxLogits: Tensor<'f32'>;
  /** f32 (sQ, hQ), natural log; +inf for rows that attend to nothing. */
  readonly lse: Tensor<'f32'>;
}

const known = optionNames<keyof FlashMlaSparseFwdOptions>(
  'q',
  'kv',
  'indices',
  'smScale',
  'dV',
  'attnSink',
  'topkLength',
  'out',
  'maxLogits',
  'lse',
);

/** Row numbers are i32. */
const maxRows = 2 ** 31 - 1;

/**
 * Token-sparse attention over an unpaged KV, for prefill. Returns at once; `out.read()` waits.
 *
 * Source: FlashMLA's `flash_mla_sparse_fwd`.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError}.
 */
export function flashMlaSparseFwd(options: FlashMlaSparseFwdOptions): SparseFwdResult {
  const given = readOptions(options, known);
  const { q, kv, indices, attnSink, topkLength } = given;
  checkTensor('q', q, 3);
  const { device } = q;
  checkOperand('q', q, 3, 'bf16', device);
  checkNotEmpty('q', q);
  checkInnerStride('q', q);
  const [sQ, hQ, headDimQk] = q.shape as [number, number, number];
  const headDimV = checkInteger('dV', given.dV ?? 512, 1, headDimQk);
  checkSparseHeadDims('q.shape[2]', headDimQk, 'dV', headDimV);

  checkOperand('kv', kv, 3, 'bf16', device);
  checkNotEmpty('kv', kv);
  checkInnerStride('kv', kv);
  checkExtent('kv', kv, 2, headDimQk, 'dQk of q');
  checkInteger('kv.shape[0]', kv.shape[0], 1, maxRows);
  const hKv = kv.shape[1] as number;
  checkHeads(hQ, hKv, 'kv.shape[1]');

  checkOperand('indices', indices, 3, 'i32', device);
  checkNotEmpty('indices', indices);
  checkExtent('indices', indices, 0, sQ, 'sQ of q');
  checkExtent('indices', indices, 1, hKv, 'hKv of kv');
  checkInnerStride('indices', indices);
  // FlashMLA has no default here, so neither has this.
  const smScale = checkScale('smScale', given.smScale ?? Number.NaN, headDimQk);
  checkOptionalVector('attnSink', attnSink, 'f32', device, hQ, 'hQ');
  checkOptionalVector('topkLength', topkLength, 'i32', device, sQ, 'sQ');

  const outputs = new Outputs(device);
  try {
    const out = outputs.take('out', given.out, [sQ, hQ, headDimV], 'bf16');
    const maxLogits = outputs.take('maxLogits', given.maxLogits, [sQ, hQ], 'f32');
    const lse = outputs.take('lse', given.lse, [sQ, hQ], 'f32');
    device.backend.run(sparsePrefill, {
      q,
      kv,
      indices,
      topkLength: topkLength ?? undefined,
      smScale,
      headDimV,
      attnSink: attnSink ?? undefined,
      out,
      maxLogits,
      lse,
    });
    return { out, maxLogits, lse };
  } catch (error) {
    outputs.release();
    throw error;
  }
}
