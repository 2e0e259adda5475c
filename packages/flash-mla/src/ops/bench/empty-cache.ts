import type { Device } from '../../runtime/device/device.ts';
import { packedRows } from '../../runtime/tensor/packed-rows.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';

/** A cache as the library makes it: model1 blocks are padded. */
export function emptyCache(
  device: Device,
  layout: 'v32' | 'model1' | 'bf16',
  blocks: number,
  page: number,
  dQk: number,
): Tensor {
  if (layout === 'bf16') return device.empty([blocks, page, 1, dQk], 'bf16');
  const { rowBytes, blockPadding } = packedRows[layout];
  const block = Math.ceil((page * rowBytes) / blockPadding) * blockPadding;
  return device.emptyStrided([blocks, page, 1, rowBytes], [block, rowBytes, rowBytes, 1], 'u8');
}
