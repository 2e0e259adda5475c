import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkDisjoint,
  checkExtent,
  checkNotEmpty,
  checkVector,
  optionNames,
  readOptions,
  shapeText,
} from '../../runtime/operation/arguments.ts';
import {
  checkApart,
  checkChoice,
  checkContiguous,
  checkMatrix,
  checkNumber,
  checkShape,
} from '../../runtime/operation/tensors.ts';
import type { Tensor, TensorHost } from '../../runtime/tensor/tensor.ts';
import type { RopePairs } from '../rope/index.ts';
import { maxLatent } from './limits.ts';
import { appendLatentsOperation } from './operation.ts';

/** Arguments of {@link appendLatents}. */
export interface AppendLatentsOptions {
  /**
   * (rows, latent + rope), rows may be apart: what the projection down gives, neither normed nor rotated.
   * `rows` may be 0; the latent has at most 2048 columns.
   */
  readonly latents: Tensor<'bf16' | 'f32'>;
  /** (latent): the gain of the norm. */
  readonly weight: Tensor<'bf16' | 'f32'>;
  readonly eps: number;
  /** (positions, rope / 2), contiguous: cosines of the angles, and their sines. */
  readonly cos: Tensor<'f32'>;
  readonly sin: Tensor<'f32'>;
  /**
   * (rows): the row of the tables for each row. What has a position that is not in the tables is not
   * rotated. Default: row i has position i.
   */
  readonly positions?: Tensor<'i32'> | null | undefined;
  readonly pairs: RopePairs;
  /** (rows, heads, rope), any outer strides: the part of the queries that is rotated. */
  readonly queries: Tensor<'bf16' | 'f32'>;
  /** (rows, heads, rope), any outer strides, to write to: not the memory of `queries`. */
  readonly rotatedQueries: Tensor<'bf16' | 'f32'>;
  /** (blocks, page, 1, latent + rope), any outer strides: the cache to write to. */
  readonly kCache: Tensor<'bf16'>;
  /** (rows): block · page + offset. −1 and anything else outside the cache is skipped. */
  readonly slots: Tensor<'i32'>;
}

const known = optionNames<keyof AppendLatentsOptions>(
  ...(['latents', 'weight', 'eps', 'cos', 'sin', 'positions', 'pairs', 'queries'] as const),
  ...(['rotatedQueries', 'kCache', 'slots'] as const),
);
const dtypes = ['bf16', 'f32'] as const;

/**
 * What `rmsNorm` of the latents, `applyRope` of their keys and of the queries, and `appendKvCache` do, in
 * one launch and without rounding between them. Only enqueues, and may be recorded by `device.capture`.
 * For `cuda` and `sim`. Returns `kCache`.
 *
 * A slot that occurs twice leaves one of its rows there or a mixture of them.
 *
 * Source: multi-head latent attention, DeepSeek-V2, §2.1.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError};
 *   {@link UnsupportedOperationError} where the device has no kernel for it.
 */
export function appendLatents(options: AppendLatentsOptions): Tensor<'bf16'> {
  const given = readOptions(options, known);
  const { latents, weight, cos, sin, queries, rotatedQueries, kCache, slots } = given;
  checkMatrix('latents', latents, 2, dtypes);
  const { device } = latents;
  const [rows = 0, columns = 0] = latents.shape;
  checkMatrix('weight', weight, 1, dtypes, device);
  checkNotEmpty('weight', weight);
  const [latent = 0] = weight.shape;
  if (latent > maxLatent) {
    throw new InvalidArgumentError('weight', `at most ${maxLatent} columns`, shapeText(weight));
  }
  const rope = columns - latent;
  if (rope < 2 || rope % 2 !== 0) {
    const expected = `${latent} columns of the latent and an even number more`;
    throw new InvalidArgumentError('latents.shape[1]', expected, shapeText(latents));
  }
  const eps = checkNumber('eps', given.eps, 0, 1);
  checkMatrix('cos', cos, 2, ['f32'] as const, device);
  checkNotEmpty('cos', cos);
  checkExtent('cos', cos, 1, rope / 2, 'rope / 2');
  checkContiguous('cos', cos);
  checkMatrix('sin', sin, 2, ['f32'] as const, device);
  checkShape('sin', sin, cos.shape, 'of cos');
  checkContiguous('sin', sin);
  const positions = given.positions ?? undefined;
  if (positions !== undefined) checkVector('positions', positions, 'i32', device, rows, 'rows');
  else if ((cos.shape[0] as number) < rows) {
    throw new InvalidArgumentError('cos.shape[0]', `at least ${rows} positions`, shapeText(cos));
  }
  const pairs = checkChoice<RopePairs | 'none'>(
    ...(['pairs', given.pairs, ['interleaved', 'half'], 'none'] as const),
  );
  if (pairs === 'none') throw new InvalidArgumentError('pairs', `'interleaved' or 'half'`, 'none');
  checkQueries(queries, rotatedQueries, rows, rope, device);
  checkMatrix('kCache', kCache, 4, ['bf16'] as const, device);
  checkNotEmpty('kCache', kCache);
  const [blocks = 0, page = 0] = kCache.shape;
  checkShape('kCache', kCache, [blocks, page, 1, columns], '(blocks, page, 1, latent + rope)');
  if (blocks * page >= 2 ** 31) {
    throw new InvalidArgumentError('kCache', 'less than 2^31 tokens', shapeText(kCache));
  }
  checkDisjoint('kCache', kCache);
  checkVector('slots', slots, 'i32', device, rows, 'rows');
  const read = { latents, weight, cos, sin, positions, queries, slots };
  checkApart('rotatedQueries', rotatedQueries, read);
  checkApart('kCache', kCache, { ...read, rotatedQueries });
  if (rows > 0) {
    device.backend.run(appendLatentsOperation, {
      ...{ ...read, eps, interleaved: pairs === 'interleaved', rotatedQueries, kCache },
    });
  }
  return kCache;
}

function checkQueries(
  queries: unknown,
  rotated: unknown,
  rows: number,
  rope: number,
  device: TensorHost,
): void {
  checkMatrix('queries', queries, 3, dtypes, device);
  checkNotEmpty('queries', queries, 1);
  const [, heads = 0] = queries.shape;
  checkShape('queries', queries, [rows, heads, rope], '(rows, heads, rope)');
  checkMatrix('rotatedQueries', rotated, 3, dtypes, device);
  checkShape('rotatedQueries', rotated, queries.shape, 'of queries');
  checkDisjoint('rotatedQueries', rotated);
}
