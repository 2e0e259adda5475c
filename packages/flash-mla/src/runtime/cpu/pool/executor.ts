import type { Command } from '../commands/command.ts';

/**
 * The workers of a device and its memory, seen from the host. Everything enqueued gets a ticket,
 * counted up from 1, and is done in that order.
 */
export interface Executor {
  readonly workers: number;
  /** Ticket of the last thing enqueued. */
  readonly issued: number;
  /** Everything up to this ticket is done. */
  readonly retired: number;
  /** Bytes of the memory so far. */
  readonly memoryBytes: number;

  /** Throws if the workers are gone. */
  assertAlive(): void;
  /** Enqueues a command, with the address of its workspace. Returns its ticket. */
  run(command: Command, workspace: number): number;
  /**
   * Writes in order with the work enqueued so far, of which the last that uses these bytes has ticket
   * `lastUse`. False if that work is not done and the bytes would have to wait for it.
   */
  write(address: number, bytes: Uint8Array, lastUse: number): boolean;
  /** Bytes as they are once all work enqueued so far is done. Takes a ticket if that is later. */
  read(address: number, byteLength: number): Promise<Uint8Array>;
  synchronize(): Promise<void>;
  /** Makes the memory at least this long. False if the engine refuses. */
  reserve(byteLength: number): boolean;
  /** Stops the workers; what is pending rejects. Idempotent. */
  close(): Promise<void>;
}

/** What an executor tells its owner. */
export interface ExecutorEvents {
  /** `retired` has moved. */
  onRetired(): void;
}
