import type { DeviceFault } from '../pool/protocol.ts';

/** What is wrong with data on the device, by the argument that holds it. */
export interface FaultText {
  readonly argument: string;
  readonly expected: string;
}

/** What each code of a fault means, as the kernels of one operation report them. */
export type FaultTexts = Readonly<Record<number, (fault: DeviceFault) => FaultText>>;

/** One unit of work for all workers. */
export interface Command {
  /** The kernel, by the name under which packages/flash-mla/assembly/index.ts exports it. */
  readonly operation: string;
  /**
   * What the kernel takes behind its context, worker index, worker count and workspace, in the order
   * of its parameters in packages/flash-mla/assembly.
   */
  readonly arguments: readonly number[];
  /** Bytes that the command needs for itself while it runs. */
  readonly workspaceBytes: number;
  /** Absent: the kernel looks at no data that could be wrong. */
  readonly faults?: FaultTexts;
}
