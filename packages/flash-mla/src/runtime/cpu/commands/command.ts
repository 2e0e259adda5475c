import type { DeviceFault } from '../pool/protocol.ts';
import type { CommandKind } from './define-command.ts';
import type { Fields, Values } from './schema.ts';

/** What is wrong with data on the device, by the argument that holds it. */
export interface FaultText {
  readonly argument: string;
  readonly expected: string;
}

/** What each code of a fault means, as the kernels of one operation report them. */
export type FaultTexts = Readonly<Record<number, (fault: DeviceFault) => FaultText>>;

/** What a command takes beside its fields. */
export interface CommandOptions {
  /** Bytes that the command needs for itself while it runs; default 0. */
  readonly workspaceBytes?: number;
  /** Absent: the kernel looks at no data that could be wrong. */
  readonly faults?: FaultTexts;
}

/** One unit of work for all workers. */
export interface Command {
  readonly kind: CommandKind;
  /** The fields of the kind's descriptor, written when the command is handed over. */
  readonly values: Values<Fields>;
  readonly workspaceBytes: number;
  readonly faults?: FaultTexts;
}

/** A command of a kind, with a value for each of its fields. */
export function commandOf<F extends Fields>(
  kind: CommandKind<F>,
  values: Values<NoInfer<F>>,
  { workspaceBytes = 0, faults }: CommandOptions = {},
): Command {
  return { kind, values: values as Values<Fields>, workspaceBytes, ...(faults && { faults }) };
}
