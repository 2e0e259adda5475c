/**
 * FlashMLA for TypeScript: Multi-head Latent Attention decoding and sparse prefill.
 *
 * Importing this module loads no backend, no WebAssembly and no native code.
 */

export {
  BackendUnavailableError,
  DeviceLostError,
  DisposedError,
  type DType,
  dtypeSize,
  dtypes,
  FileFormatError,
  FlashMlaError,
  InvalidArgumentError,
  KernelCompileError,
  OutOfMemoryError,
  type StorageOf,
  UnsupportedOperationError,
} from '@flash-mla/core';
export { openDevice } from './open-device.ts';
export * from './ops/activation/index.ts';
export * from './ops/attention/index.ts';
export * from './ops/embedding/index.ts';
export * from './ops/gemm/index.ts';
export * from './ops/indexer/index.ts';
export type { KvRowLayout } from './ops/kernel-lib/row-layout.ts';
export {
  type AppendKvCacheOptions,
  appendKvCache,
  type DequantizeKvCacheOptions,
  dequantizeKvCache,
  type KvCacheDType,
  type PackedKvLayout,
  type QuantizeKvCacheOptions,
  quantizeKvCache,
} from './ops/kv-cache/index.ts';
export * from './ops/latent/index.ts';
export * from './ops/moe/index.ts';
export * from './ops/norm/index.ts';
export * from './ops/rope/index.ts';
export * from './ops/sampling/index.ts';
export * from './ops/swap-in/index.ts';
export type { CpuKernel } from './runtime/cpu/kernel.ts';
export type { CudaKernel, KernelSpec } from './runtime/cuda/kernel.ts';
export type { DeviceInfo, MemoryStats } from './runtime/device/backend.ts';
export { Device, type DeviceOptions, type DeviceSpec, Graph } from './runtime/device/device.ts';
export type { KernelLibrary } from './runtime/device/kernel-library.ts';
export { type DeviceListing, listDevices } from './runtime/device/open-device.ts';
export { Stream, StreamEvent, type StreamOptions } from './runtime/device/stream.ts';
export {
  defineCpuKernel,
  defineCudaKernel,
  defineWebGpuKernel,
} from './runtime/operation/define-kernels.ts';
export { defineOperation, type Operation } from './runtime/operation/operation.ts';
export type { CopyOptions, CopyRange } from './runtime/tensor/copy.ts';
export { PinnedBuffer } from './runtime/tensor/pinned-buffer.ts';
export { Tensor } from './runtime/tensor/tensor.ts';
export type { DeviceBuffer, TensorView } from './runtime/tensor/view.ts';
export type { ByteReader } from './runtime/tensor/write-from.ts';
export type { WebGpuKernel } from './runtime/webgpu/kernel.ts';
