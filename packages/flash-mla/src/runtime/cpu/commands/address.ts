import { type DType, dtypeSize } from '@flash-mla/core';
import type { DeviceBuffer, TensorView } from '../../tensor/view.ts';
import type { CpuBuffer } from '../memory/heap.ts';
import { elements, type rows } from './descriptors.ts';
import type { Values } from './schema.ts';

/** The buffers of this backend are its own. */
export function asCpuBuffer(buffer: DeviceBuffer): CpuBuffer {
  return buffer as CpuBuffer;
}

/** Address of element [0, 0, …], or 0 for an absent tensor. */
export function addressOf(view: TensorView | undefined): number {
  if (view === undefined) return 0;
  const { address, base } = asCpuBuffer(view.buffer);
  if (base !== 0)
    throw new TypeError('the kernel was given memory that WebAssembly does not reach');
  return address + view.byteOffset;
}

/** Bytes between neighbours along a dimension. */
export function strideOf(view: TensorView, dimension: number): number {
  return (view.strides[dimension] ?? 0) * dtypeSize(view.dtype);
}

/** Extent of a dimension. */
export function extentOf(view: TensorView, dimension: number): number {
  return view.shape[dimension] ?? 1;
}

const { BF16: bf16, F16: f16, E4M3: e4m3, F32: f32 } = elements.values;
const codes: Partial<Record<DType, number>> = { bf16, f16, e4m3 };

/** How the kernels name an element type. Throws `TypeError` where they do not have it. */
export function dtypeCode(dtype: DType): number {
  const code = codes[dtype];
  if (code === undefined) throw new TypeError(`the kernels have no element type ${dtype}`);
  return code;
}

/** {@link dtypeCode} for kernels that take float32 too; see assembly/elements.ts. */
export function elementCode(dtype: DType): number {
  return dtype === 'f32' ? f32 : dtypeCode(dtype);
}

/** How the kernels are told of the rows along a dimension of a tensor; an absent one is at address 0. */
export function rowsOf(view: TensorView | undefined, dimension = 0): Values<typeof rows.fields> {
  if (view === undefined) return { type: f32, address: 0, stride: 0 };
  const stride = strideOf(view, dimension);
  return { type: elementCode(view.dtype), address: addressOf(view), stride };
}

/**
 * As {@link rowsOf}, of a tensor that may lie outside the device's memory: machine code adds `base` to addresses.
 */
export function farRowsOf(
  view: TensorView,
  dimension = 0,
): { readonly rows: Values<typeof rows.fields>; readonly base: number } {
  const { address, base } = asCpuBuffer(view.buffer);
  const place = { address: address + view.byteOffset, stride: strideOf(view, dimension) };
  return { rows: { type: elementCode(view.dtype), ...place }, base };
}
