import { defineOperation } from '../../runtime/operation/operation.ts';
import type { TensorView } from '../../runtime/tensor/view.ts';

/** Arguments of a call of {@link swapInOperation}, checked. All are contiguous. */
export interface SwapInArgs {
  /** i32 (requests, K). */
  readonly topK: TensorView;
  /** i32 or i64 (requests). */
  readonly seqLens: TensorView;
  /** i32 or i64 (requests). */
  readonly rows: TensorView;
  /** i32 (rows, pages of the longest sequence). */
  readonly hostPages: TensorView;
  /** i32 (rows, H / P + 1). */
  readonly bufferPages: TensorView;
  /** i32 (rows, H), read and written. */
  readonly slotTokens: TensorView;
  /** u8 (rows, 2 · H): the bytes of int16, read and written. */
  readonly lruOrder: TensorView;
  /** (pages, P, 1, columns). */
  readonly hostCache: TensorView;
  /** (pages, P, 1, columns) of the same dtype, written. */
  readonly deviceCache: TensorView;
  /** Threads of a CTA. */
  readonly blockSize: number;
  /** Outputs, i32 (requests, K). */
  readonly locations: TensorView;
  readonly plannedHostRows: TensorView;
  readonly plannedDeviceRows: TensorView;
  /** Output, i32 (requests). */
  readonly missCounts: TensorView;
}

/** Brings what queries attend to from the host's cache into hot buffers on the device. */
export const swapInOperation = defineOperation<SwapInArgs>({
  name: 'swapIn',
  reads: (args) => [
    args.topK,
    args.seqLens,
    args.rows,
    args.hostPages,
    args.bufferPages,
    args.slotTokens,
    args.lruOrder,
    args.hostCache,
    args.deviceCache,
  ],
  writes: (args) => [
    args.slotTokens,
    args.lruOrder,
    args.deviceCache,
    args.locations,
    args.plannedHostRows,
    args.plannedDeviceRows,
    args.missCounts,
  ],
});
