/** The operations of the workers. Their index travels in a command. */
export const operations = [
  'copyBytes',
  'denseDecode',
  'sparseDecode',
  'sparsePrefill',
  'denseAttention',
  'quantizeRows',
  'dequantizeRows',
  'appendRows',
  'computeSchedule',
  'rmsNorm',
  'gemm',
  'applyRope',
  'swiGlu',
  'addScaled',
  'embedding',
  'routeExperts',
  'expertMlp',
  'probeFma',
  'probeRead',
] as const;

export type Operation = (typeof operations)[number];

/** One unit of work for all workers. */
export interface Command {
  readonly operation: Operation;
  /**
   * What the kernel takes behind its context, worker index, worker count and workspace, in the order
   * of its parameters in packages/flash-mla/assembly.
   */
  readonly arguments: readonly number[];
  /** Bytes that the command needs for itself while it runs. */
  readonly workspaceBytes: number;
}
