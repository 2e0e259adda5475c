import type { DType } from '@flash-mla/core';

/** A span of device memory, owned by the device that allocated it. */
export interface DeviceBuffer {
  readonly byteLength: number;
}

/** What kernels see of a tensor. Strides count elements and are never negative. */
export interface TensorView {
  readonly buffer: DeviceBuffer;
  /** Byte offset of element [0, 0, …] in `buffer`. */
  readonly byteOffset: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}
