/**
 * The shared words through which the host and the workers of one device talk. The first page of the
 * memory holds a control block and a ring of command slots; tensors begin behind it.
 *
 * A slot holds a command as its kernel gets it: the head that all commands have, then the descriptor of its
 * kind. Sequence numbers of commands count from 1 and wrap at 2^32.
 */

import { headBytes, maxDescriptorBytes } from '../commands/define-command.ts';
import { offsetOf } from '../commands/schema.ts';
import type { NativeStart } from '../native/functions.ts';
import { commandHead } from './descriptors.ts';

/** Where tensors may begin: WebAssembly pages are 64 KiB. */
export const heapBase = 65536;

const controlBase = 4096;
const slotBase = 8192;
const slotBytes = headBytes + maxDescriptorBytes;

/** Commands that can be under way at once. */
export const slotCount = 64;

// Indices into an Int32Array over the memory.
/** The last command that was handed over. */
export const headWord = controlBase / 4;
/** The last command that is done; on a cache line of its own. */
export const doneWord = headWord + 16;
/** The host wants a message once this command is done. */
export const wantWord = headWord + 32;

const wordOf = (field: keyof typeof commandHead.fields) => offsetOf(commandHead, field) / 4;

/** Words of a command's head. */
export const word = {
  errorCode: wordOf('errorCode'),
  errorRow: wordOf('errorRow'),
  errorColumn: wordOf('errorColumn'),
  errorValue: wordOf('errorValue'),
  finished: wordOf('finished'),
  operation: wordOf('operation'),
  workspace: wordOf('workspace'),
} as const;

/** Byte address of the slot of a command, which begins there. */
export function slotAddress(sequence: number): number {
  return slotBase + ((sequence >>> 0) % slotCount) * slotBytes;
}

/** Whether command `a` is `b` or came after it. */
export function reached(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

/** What the host tells a worker before anything else. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  /** Absent: the worker makes a private memory and takes its commands from messages. */
  readonly memory?: WebAssembly.Memory;
  readonly maximumPages: number;
  readonly index: number;
  readonly workers: number;
  /** Machine code for a worker with shared memory; absent: WebAssembly does all the work. */
  readonly native?: NativeStart | undefined;
}

/** What is wrong with the data of a command, as a kernel found it on the device. */
export interface DeviceFault {
  readonly code: number;
  readonly row: number;
  readonly column: number;
  readonly value: number;
}

/** What the host sends to a worker that owns a private memory, in order. */
export type PrivateRequest =
  | { kind: 'run'; operation: number; workspace: number; descriptor: Uint8Array }
  | { kind: 'write'; address: number; bytes: Uint8Array }
  | { kind: 'read'; address: number; byteLength: number }
  | { kind: 'grow'; pages: number };

/** What workers send to the host. */
export type WorkerReply =
  | { kind: 'ready' }
  /** Shared memory: the command that the host waits for is done. */
  | { kind: 'done' }
  /** Private memory: one for each request. */
  | { kind: 'reply'; bytes?: Uint8Array; fault?: DeviceFault }
  | { kind: 'crash'; message: string };
