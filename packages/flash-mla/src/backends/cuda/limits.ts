/** What kernel selection knows of a GPU. Plain data: `inspect` makes one up for a GPU that is absent. */
export interface DeviceLimits {
  /** Compute capability × 10, such as 90. */
  readonly sm: number;
  /** PTX target for code that runs on this architecture and its successors, such as `sm_90`. */
  readonly target: string;
  /** PTX target with architecture-specific instructions, such as `sm_90a`; absent where there is none. */
  readonly specificTarget: string | undefined;
  readonly smCount: number;
  /** Shared memory in bytes that one CTA may ask for (opt-in), and that one SM has. */
  readonly maxSharedPerBlock: number;
  readonly maxSharedPerSm: number;
  readonly maxThreadsPerSm: number;
  readonly registersPerSm: number;
  readonly l2Bytes: number;
}
