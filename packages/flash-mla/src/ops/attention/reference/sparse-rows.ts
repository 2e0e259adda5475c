import { decodeInto, extents, type HostTensor, InvalidArgumentError } from '@flash-mla/core';
import type { KvRowLayout } from '../../kernel-lib/row-layout.ts';
import { decodePackedRow, packedLayouts } from '../../kv-cache/reference/index.ts';

/** One cache of a sparse decode problem. */
export interface SparseCacheProblem {
  /**
   * `v32`, `model1`: u8 (blocks, page, 1, rowBytes), blocks one after the other. `bf16`: (blocks, page,
   * 1, dQk) of any float dtype.
   */
  readonly kCache: HostTensor;
  /** i32 (b, sQ, topk): block·page + offset; anything outside the cache is skipped. */
  readonly indices: HostTensor<'i32'>;
  /** i32 (b): entries of `indices` that count, clamped to 0…topk. */
  readonly topkLength?: HostTensor<'i32'> | undefined;
}

/** Which slots of a cache query (request, s) attends to, in order and with repetitions. */
export function attendedSlots(cache: SparseCacheProblem, request: number, s: number): number[] {
  const [, sQ, topk] = extents('indices', cache.indices, 3) as [number, number, number];
  const [blocks, page] = cache.kCache.shape as [number, number];
  const length = Math.min(topk, Math.max(0, cache.topkLength?.data[request] ?? topk));
  const slots: number[] = [];
  for (let k = 0; k < length; k++) {
    const slot = cache.indices.data[(request * sQ + s) * topk + k] as number;
    if (slot >= 0 && slot < blocks * page) slots.push(slot);
  }
  return slots;
}

/** Decodes the given slots of a cache into rows of `target`, from row `firstRow` on. */
export function gatherSlots(
  layout: KvRowLayout,
  kCache: HostTensor,
  slots: readonly number[],
  target: Float64Array,
  firstRow: number,
  headDimQk: number,
): void {
  const [, page, , width] = kCache.shape as [number, number, number, number];
  if (layout === 'bf16') {
    slots.forEach((slot, row) => {
      decodeInto(kCache, slot * headDimQk, headDimQk, target, (firstRow + row) * headDimQk);
    });
    return;
  }
  const packed = packedLayouts[layout];
  if (packed.headDimQk !== headDimQk || packed.rowBytes !== width) {
    throw new InvalidArgumentError(
      'kCache',
      `${packed.rowBytes} bytes a row and queries of ${packed.headDimQk} columns for '${layout}'`,
      `${width} and ${headDimQk}`,
    );
  }
  const blockBytes = page * width;
  slots.forEach((slot, row) => {
    const begin = Math.floor(slot / page) * blockBytes;
    const block = (kCache.data as Uint8Array).subarray(begin, begin + blockBytes);
    decodePackedRow(packed, block, page, slot % page, target, (firstRow + row) * headDimQk);
  });
}
