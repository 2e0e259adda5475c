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
export * from './activation/index.ts';
export * from './api/index.ts';
export type { DeviceInfo, MemoryStats } from './backends/backend.ts';
export type { CpuKernel } from './backends/cpu/kernel.ts';
export type { CudaKernel, KernelSpec } from './backends/cuda/kernel.ts';
export type { KernelLibrary } from './backends/kernel-library.ts';
export type { WebGpuKernel } from './backends/webgpu/kernel.ts';
export { Device, type DeviceOptions, type DeviceSpec, Graph } from './device.ts';
export * from './embedding/index.ts';
export * from './gemm/index.ts';
export type { KvRowLayout } from './kv-cache/row-layout.ts';
export * from './moe/index.ts';
export * from './norm/index.ts';
export { type DeviceListing, listDevices, openDevice } from './open-device.ts';
export {
  defineCpuKernel,
  defineCudaKernel,
  defineWebGpuKernel,
} from './operation/define-kernels.ts';
export { defineOperation, type Operation } from './operation/operation.ts';
export * from './rope/index.ts';
export { Tensor } from './tensor/tensor.ts';
export type { DeviceBuffer, TensorView } from './tensor/view.ts';
