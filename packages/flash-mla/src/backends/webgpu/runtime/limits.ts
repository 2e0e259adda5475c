/** Numbers that decide how fast a kernel is, never what it computes. */
export interface Tuning {
  /** The most query rows of a workgroup: more would leave no registers for anything else. */
  readonly mostRows: 1 | 2 | 4 | 8 | 16;
  /**
   * With up to `fewRows` rows a kernel waits for memory: larger tiles and more columns a load keep more
   * of them under way. With more it multiplies.
   */
  readonly fewRows: number;
  readonly tokensPerQuad: { readonly few: 4; readonly many: 1 | 2 | 4 };
  readonly columns: { readonly few: 4 | 8; readonly many: 4 | 8 };
  /** Rows of the output that an invocation keeps in registers, if the rows can be shared out. */
  readonly rowsPerInvocation: number;
  /** Tokens whose values are loaded before the first is used. */
  readonly unroll: 1 | 2 | 4;
  readonly unrollWords: boolean;
  /** Workgroups of a decode call: a few waves, so that the last, partly full, weighs little. */
  readonly workgroups: number;
}

/** Chosen for GPUs of which WebGPU tells neither the number of cores nor their registers. */
export const gpuTuning: Tuning = {
  mostRows: 16,
  fewRows: 4,
  tokensPerQuad: { few: 4, many: 2 },
  columns: { few: 8, many: 8 },
  rowsPerInvocation: 8,
  unroll: 4,
  unrollWords: true,
  workgroups: 264,
};

/**
 * On a CPU that pretends to be a GPU, compiling takes longer than running: SwiftShader in a browser
 * needs 0.6 s for 8 KiB of workgroup memory and 5 s for 24 KiB, because it clears it word by word.
 */
export const softwareTuning: Tuning = {
  ...gpuTuning,
  mostRows: 2,
  unroll: 1,
  unrollWords: false,
  workgroups: 16,
};

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
