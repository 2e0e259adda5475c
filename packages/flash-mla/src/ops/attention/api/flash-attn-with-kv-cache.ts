import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkExtent,
  checkFlag,
  checkInnerStride,
  checkNotEmpty,
  checkOperand,
  checkScale,
  checkTensor,
  checkVector,
  optionNames,
  readOptions,
  show,
} from '../../../runtime/operation/arguments.ts';
import { Outputs } from '../../../runtime/operation/outputs.ts';
import type { Tensor, TensorHost } from '../../../runtime/tensor/tensor.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import { denseAttention } from '../operations.ts';
import { checkAttentionHeads, checkImplementation } from './dense-attention.ts';

/** Arguments of {@link flashAttnWithKvCache}. */
export interface FlashAttnWithKvCacheOptions<D extends 'bf16' | 'f16' = 'bf16' | 'f16'> {
  /** (b, sQ, hQ, dQk): the newest sQ tokens of each request. */
  readonly q: Tensor<D>;
  /** (blocks, page, hK, dQk) with a block table, else (b, capacity, hK, dQk); hK divides hQ. */
  readonly kCache: Tensor<NoInfer<D>>;
  /** As `kCache`, with dV columns. */
  readonly vCache: Tensor<NoInfer<D>>;
  /** i32 (b): tokens of each request in the cache, the new ones included. */
  readonly cacheSeqlens: Tensor<'i32'>;
  /** i32 (b, maxBlocks): blocks of each request, in order. Absent: request i owns block i. */
  readonly blockTable?: Tensor<'i32'> | null | undefined;
  /** Factor of the logits, a normal float32: 2^-126 to 3.4e38. Default 1/√dQk. */
  readonly softmaxScale?: number | null | undefined;
  /** Aligned to the end: query i sees keys up to seqlen − sQ + i. Default false. */
  readonly causal?: boolean | undefined;
  /** `'auto'` or the name of a kernel family of the device: its backend's name. */
  readonly implementation?: 'auto' | (string & {}) | undefined;
  /** Output (b, sQ, hQ, dV), contiguous, aligned to 16 bytes, to write to instead of a new one. */
  readonly out?: Tensor<NoInfer<D>> | null | undefined;
}

/** What {@link flashAttnWithKvCache} gives back. Both are the caller's to dispose of. */
export interface KvCacheAttentionResult<D extends 'bf16' | 'f16' = 'bf16' | 'f16'> {
  /** (b, sQ, hQ, dV). */
  readonly out: Tensor<D>;
  /** f32 (b, hQ, sQ), strided; natural log; +inf for rows that attend to nothing. */
  readonly lse: Tensor<'f32'>;
}

const known = optionNames<keyof FlashAttnWithKvCacheOptions>(
  'q',
  'kCache',
  'vCache',
  'cacheSeqlens',
  'blockTable',
  'softmaxScale',
  'causal',
  'implementation',
  'out',
);

/**
 * Dense MHA or GQA of a few new queries per request over a cache that already holds their keys.
 * Returns at once; `out.read()` waits. Lengths and entries of `blockTable` count as in
 * `flashMlaWithKvCache`: those out of range are no error.
 *
 * Source: FlashAttention's `flash_attn_with_kvcache`, whose name it bears, without appending keys.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError}.
 */
export function flashAttnWithKvCache<D extends 'bf16' | 'f16'>(
  options: FlashAttnWithKvCacheOptions<D>,
): KvCacheAttentionResult<D> {
  const given = readOptions(options, known);
  const { q, kCache, vCache, cacheSeqlens, blockTable } = given;
  checkTensor('q', q, 4);
  const { device, dtype } = q;
  if (dtype !== 'bf16' && dtype !== 'f16') {
    throw new InvalidArgumentError('q', 'dtype bf16 or f16', show(q));
  }
  checkRows('q', q, dtype, device, 0);
  checkRows('kCache', kCache, dtype, device, 1);
  checkRows('vCache', vCache, dtype, device, 1);
  const [b, sQ, hQ, dQk] = q.shape as [number, number, number, number];
  const [blocks, page, hK] = kCache.shape as [number, number, number, number];
  const dV = vCache.shape[3] as number;
  checkExtent('kCache', kCache, 3, dQk, 'dQk of q');
  checkExtent('vCache', vCache, 0, blocks, 'blocks of kCache');
  checkExtent('vCache', vCache, 1, page, 'page of kCache');
  checkExtent('vCache', vCache, 2, hK, 'hK of kCache');
  checkAttentionHeads(hQ, hK, 'kCache.shape[2]', ['q.shape[3]', dQk], ['vCache.shape[3]', dV]);
  const flatQ = flattenQueries(q);

  checkVector('cacheSeqlens', cacheSeqlens, 'i32', device, b, 'b');
  let maxBlocks = 1;
  if (blockTable !== undefined && blockTable !== null) {
    checkOperand('blockTable', blockTable, 2, 'i32', device);
    checkExtent('blockTable', blockTable, 0, b, 'b of q');
    checkInnerStride('blockTable', blockTable);
    maxBlocks = blockTable.shape[1] as number;
  } else if (blocks < b) {
    throw new InvalidArgumentError(
      'kCache.shape[0]',
      `at least b = ${b} blocks, one for each request`,
      `${blocks}`,
      'Give a blockTable for a paged cache.',
    );
  }
  const softmaxScale = checkScale('softmaxScale', given.softmaxScale, dQk);
  const causal = checkFlag('causal', given.causal, false);
  checkImplementation(given.implementation, device);

  const outputs = new Outputs(device);
  try {
    const out = outputs.take('out', given.out, [b, sQ, hQ, dV], dtype);
    const lse = outputs.take('lse', undefined, [hQ, b * sQ], 'f32');
    device.backend.run(denseAttention, {
      q: flatQ,
      k: kCache,
      v: vCache,
      seqlensK: cacheSeqlens,
      blockTable: blockTable ?? undefined,
      maxSeqLenQ: sQ,
      maxSeqLenK: maxBlocks * page,
      softmaxScale,
      causal,
      out: flatten(out, [b * sQ, hQ, dV], [hQ * dV, dV, 1]),
      lse,
    });
    return { out, lse: lse.asStrided([b, hQ, sQ], [sQ, b * sQ, 1]) };
  } catch (error) {
    outputs.release();
    throw error;
  }
}

/** (b, sQ, hQ, dQk) → (b·sQ, hQ, dQk) without a copy. */
function flattenQueries(q: Tensor): TensorView {
  const [b, sQ, hQ, dQk] = q.shape as [number, number, number, number];
  const [outer, inner, head, column] = q.strides as [number, number, number, number];
  if (b > 1 && sQ > 1 && outer !== sQ * inner) {
    throw new InvalidArgumentError(
      'q.strides',
      `requests one after the other: stride[0] = sQ · stride[1] = ${sQ * inner}`,
      `${outer}`,
    );
  }
  return flatten(q, [b * sQ, hQ, dQk], [sQ > 1 ? inner : outer, head, column]);
}

function flatten(tensor: Tensor, shape: number[], strides: number[]): TensorView {
  const { buffer, byteOffset, dtype } = tensor;
  return { buffer, byteOffset, dtype, shape, strides };
}

/** Rows whose extents from dimension `from` on are at least 1: a cache may have no blocks. */
function checkRows(
  name: string,
  tensor: unknown,
  dtype: 'bf16' | 'f16',
  device: TensorHost,
  from: number,
): void {
  checkOperand(name, tensor, 4, dtype, device);
  checkNotEmpty(name, tensor, from);
  checkInnerStride(name, tensor);
}
