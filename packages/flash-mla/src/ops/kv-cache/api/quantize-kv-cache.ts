import { InvalidArgumentError } from '@flash-mla/core';
import {
  checkExtent,
  checkInnerStride,
  checkNotEmpty,
  checkOperand,
  checkTensor,
  optionNames,
  readOptions,
  show,
} from '../../../runtime/operation/arguments.ts';
import { checkOutput } from '../../../runtime/operation/outputs.ts';
import { packedRows } from '../../../runtime/tensor/packed-rows.ts';
import { Tensor, type TensorHost } from '../../../runtime/tensor/tensor.ts';
import { dequantizeRows, quantizeRows } from '../operations.ts';
import { checkPackedRows } from './kv-rows.ts';

/**
 * The packed FP8 row formats: e4m3 codes in tiles that share a scale, and 64 bf16 rope values. A value is
 * its code times the scale. Where that is a power of two from 2^-117 to 2^119 (always in `model1`, and in
 * `v32` for rows that {@link quantizeKvCache} wrote) every device computes with exactly this number. Of
 * other scales `cpu` and `webgpu` round the product to float32, `cuda` and `sim` to bf16 as FlashMLA's own
 * kernels do, which moves logits by about 1e-3 of their size.
 *
 * Packed scales are at least 2^-13: in tiles whose largest magnitude is below 0.0273, values below 2^-19
 * have fewer than e4m3's four significant bits, and those up to 2^-23 become 0.
 */
export type PackedKvLayout = 'v32' | 'model1';

/** Arguments of {@link quantizeKvCache}. */
export interface QuantizeKvCacheOptions {
  /** (blocks, page, 1, dQk), contiguous; dQk 576 for `v32`, 512 for `model1`. */
  readonly kCache: Tensor<'bf16'>;
  readonly layout: PackedKvLayout;
  /** Packed cache to write to instead of a new one; its blocks may be padded. */
  readonly out?: Tensor<'u8'> | null | undefined;
}

/** Arguments of {@link dequantizeKvCache}. */
export interface DequantizeKvCacheOptions {
  /** (blocks, page, 1, 656) for `v32`, (blocks, page, 1, 584) for `model1`; blocks may be padded. */
  readonly kCache: Tensor<'u8'>;
  readonly layout: PackedKvLayout;
  /** Contiguous cache (blocks, page, 1, dQk) to write to instead of a new one. */
  readonly out?: Tensor<'bf16'> | null | undefined;
}

const known = optionNames<keyof QuantizeKvCacheOptions | keyof DequantizeKvCacheOptions>(
  'kCache',
  'layout',
  'out',
);

/**
 * bf16 rows → packed FP8 rows, u8 (blocks, page, 1, rowBytes): each tile of 128 (`v32`) or 64
 * (`model1`) values gets the smallest power of two ≥ max|value| / 448, and at least 2^-13, as its scale,
 * and values are rounded to nearest even; the 64 rope values stay bf16. A new `model1` cache pads its
 * blocks to a multiple of 576 bytes. {@link appendKvCache} writes single tokens.
 *
 * Source: `quantize_k_cache` of FlashMLA's tests.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError}.
 */
export function quantizeKvCache(options: QuantizeKvCacheOptions): Tensor<'u8'> {
  const given = readOptions(options, known);
  const { kCache, out } = given;
  const layout = checkLayout(given.layout);
  checkTensor('kCache', kCache, 4);
  const { device } = kCache;
  checkOperand('kCache', kCache, 4, 'bf16', device);
  checkNotEmpty('kCache', kCache);
  checkExtent('kCache', kCache, 2, 1, 'KV heads');
  checkExtent('kCache', kCache, 3, packedRows[layout].headDimQk, `columns of ${layout}`);
  if (!kCache.isContiguous) {
    const strides = `strides (${kCache.strides.join(', ')})`;
    throw new InvalidArgumentError('kCache', 'a contiguous tensor', strides);
  }
  const [blocks, page] = kCache.shape as [number, number];
  if (out !== undefined && out !== null) {
    checkPacked('out', out, layout, device);
    checkExtent('out', out, 0, blocks, 'blocks of kCache');
    checkExtent('out', out, 1, page, 'page of kCache');
  }
  return enqueue(out ?? Tensor.allocatePacked(device, blocks, page, layout), out, (target) =>
    device.backend.run(quantizeRows, { layout, source: kCache, target }),
  );
}

/**
 * Packed FP8 rows → bf16 rows (blocks, page, 1, dQk), value · scale rounded to nearest even.
 *
 * Source: `dequantize_k_cache` of FlashMLA's tests.
 *
 * @throws {InvalidArgumentError} naming the argument; {@link DisposedError}; {@link OutOfMemoryError}.
 */
export function dequantizeKvCache(options: DequantizeKvCacheOptions): Tensor<'bf16'> {
  const given = readOptions(options, known);
  const { kCache, out } = given;
  const layout = checkLayout(given.layout);
  checkTensor('kCache', kCache, 4);
  const { device } = kCache;
  checkPacked('kCache', kCache, layout, device);
  const [blocks, page] = kCache.shape as [number, number];
  const shape = [blocks, page, 1, packedRows[layout].headDimQk];
  if (out !== undefined && out !== null) checkOutput('out', out, shape, 'bf16', device);
  return enqueue(out ?? Tensor.allocate(device, shape, 'bf16'), out, (target) =>
    device.backend.run(dequantizeRows, { layout, source: kCache, target }),
  );
}

function checkLayout(layout: unknown): PackedKvLayout {
  if (layout === 'v32' || layout === 'model1') return layout;
  throw new InvalidArgumentError('layout', `'v32' or 'model1'`, show(layout));
}

function checkPacked(
  name: string,
  tensor: unknown,
  layout: PackedKvLayout,
  device: TensorHost,
): asserts tensor is Tensor<'u8'> {
  checkOperand(name, tensor, 4, 'u8', device);
  checkNotEmpty(name, tensor);
  checkExtent(name, tensor, 2, 1, 'KV heads');
  checkExtent(name, tensor, 3, packedRows[layout].rowBytes, `bytes a row of ${layout}`);
  checkInnerStride(name, tensor);
  checkPackedRows(name, tensor, layout);
}

function enqueue<T extends Tensor>(target: T, given: unknown, run: (target: T) => void): T {
  try {
    run(target);
    return target;
  } catch (error) {
    if (given === undefined || given === null) target.dispose();
    throw error;
  }
}
