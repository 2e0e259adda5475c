import type { Tuning } from './tuning.ts';

/** What kernels are chosen by: plain data about a device, so that a choice can be made without it. */
export interface Capabilities {
  /** Bytes of workgroup memory, and of one storage binding (a multiple of 256). */
  readonly workgroupBytes: number;
  readonly bindingBytes: number;
  /** Bytes of one buffer: a multiple of `bindingBytes`. */
  readonly bufferBytes: number;
  readonly storageBuffers: number;
  /** Alignment of a binding's offset. */
  readonly offsetAlignment: number;
  readonly workgroupsPerDimension: number;
  /** Quad operations, of subgroups of any size. */
  readonly quads: boolean;
  /** `unpack2x16float` keeps subnormal halves, which the fast e4m3 decoding relies on. */
  readonly halfSubnormals: boolean;
  readonly tuning: Tuning;
}

/** What a GPUDevice of the default limits has, whatever its adapter. */
export function capabilitiesOf(
  limits: GPUSupportedLimits,
  facts: Pick<Capabilities, 'quads' | 'halfSubnormals' | 'tuning'>,
): Capabilities {
  const alignment = 256;
  const whole = (bytes: number, unit: number) => Math.floor(bytes / unit) * unit;
  const bindingBytes = whole(
    Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize),
    alignment,
  );
  return {
    workgroupBytes: limits.maxComputeWorkgroupStorageSize,
    bindingBytes,
    bufferBytes: whole(limits.maxBufferSize, bindingBytes),
    storageBuffers: limits.maxStorageBuffersPerShaderStage,
    offsetAlignment: limits.minStorageBufferOffsetAlignment,
    workgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    ...facts,
  };
}
