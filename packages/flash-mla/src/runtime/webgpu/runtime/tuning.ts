/** Numbers that decide how fast a kernel is, never what it computes. */
export interface Tuning {
  /** Which set of numbers this is, and why: for `doctor` and `inspect`. */
  readonly reason: string;
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
  /** Products: invocations of a workgroup share sums and tiles. Alone, each computes its columns from first to last. */
  readonly sharesProducts: boolean;
}

/** For GPUs of which WebGPU tells neither the number of cores nor their registers. */
export const gpuTuning: Tuning = {
  reason: 'any GPU: its registers are unknown',
  mostRows: 16,
  fewRows: 4,
  tokensPerQuad: { few: 4, many: 2 },
  columns: { few: 8, many: 8 },
  rowsPerInvocation: 8,
  unroll: 4,
  unrollWords: true,
  workgroups: 264,
  sharesProducts: true,
};

/**
 * All 16 rows of 8 columns of the output in an invocation's registers, so that a value is decoded once
 * for all. With what else is live that takes some 200 registers: where there are fewer it spills.
 */
export const nvidiaTuning: Tuning = {
  ...gpuTuning,
  reason: 'NVIDIA: 255 registers for an invocation',
  rowsPerInvocation: 16,
};

/**
 * On a CPU that pretends to be a GPU, compiling takes longer than running: SwiftShader in a browser
 * needs 0.6 s for 8 KiB of workgroup memory and 5 s for 24 KiB, because it clears it word by word. At a
 * barrier every invocation is put aside and taken up again, which costs more than a short sum.
 */
export const softwareTuning: Tuning = {
  ...gpuTuning,
  reason: 'software: what compiles fast',
  mostRows: 2,
  unroll: 1,
  unrollWords: false,
  workgroups: 16,
  sharesProducts: false,
};

/** What is known of an adapter. */
export interface AdapterTraits {
  /** `GPUAdapterInfo.vendor`: lower case, empty where a browser hides it. */
  readonly vendor: string;
  readonly isSoftware: boolean;
  /** Whether only what every device has may be relied on. */
  readonly isDefaultProfile: boolean;
}

/** Picks the numbers for an adapter: pure. */
export function selectTuning({ vendor, isSoftware, isDefaultProfile }: AdapterTraits): Tuning {
  if (isSoftware) return softwareTuning;
  return vendor === 'nvidia' && !isDefaultProfile ? nvidiaTuning : gpuTuning;
}
