import { type DType, dtypeSize } from '@flash-mla/core';
import type { DeviceBuffer, TensorView } from '../../tensor/view.ts';
import type { CpuBuffer } from '../memory/heap.ts';

/** The buffers of this backend are its own. */
export function asCpuBuffer(buffer: DeviceBuffer): CpuBuffer {
  return buffer as CpuBuffer;
}

/** Address of element [0, 0, …], or 0 for an absent tensor. */
export function addressOf(view: TensorView | undefined): number {
  return view ? asCpuBuffer(view.buffer).address + view.byteOffset : 0;
}

/** Bytes between neighbours along a dimension. */
export function strideOf(view: TensorView, dimension: number): number {
  return (view.strides[dimension] ?? 0) * dtypeSize(view.dtype);
}

/** Extent of a dimension. */
export function extentOf(view: TensorView, dimension: number): number {
  return view.shape[dimension] ?? 1;
}

const codes: Partial<Record<DType, number>> = { bf16: 0, f16: 1, e4m3: 2 };

/** How the kernels name an element type; see assembly/decode/row.ts. */
export function dtypeCode(dtype: DType): number {
  const code = codes[dtype];
  if (code === undefined) throw new TypeError(`the kernels have no element type ${dtype}`);
  return code;
}

/** {@link dtypeCode} for kernels that take float32 too; see assembly/elements.ts. */
export function elementCode(dtype: DType): number {
  return dtype === 'f32' ? 3 : dtypeCode(dtype);
}

/** How the kernels name a row format; see assembly/ops/sparse-rows.ts. */
export const layoutCode = { v32: 0, model1: 1, bf16: 2, plain: 2 } as const;
