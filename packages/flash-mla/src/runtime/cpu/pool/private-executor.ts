import type { Command } from '../commands/command.ts';
import { commandIndex } from '../commands/command-names.ts';
import { describeFault } from '../commands/faults.ts';
import { writeRecord } from '../commands/schema.ts';
import type { Executor, ExecutorEvents } from './executor.ts';
import { FaultLog } from './fault-log.ts';
import { heapBase, type PrivateRequest, type WorkerReply } from './protocol.ts';
import type { WorkerGroup } from './worker-group.ts';

/** What a reply of the worker settles. */
interface Pending {
  readonly ticket: number;
  readonly command?: Command;
  resolve?(bytes: Uint8Array): void;
  reject?(error: Error): void;
}

const pageBytes = 65536;

/**
 * One worker with a memory of its own, where SharedArrayBuffer is absent. Requests and replies are
 * messages; the worker answers them in order.
 */
export class PrivateExecutor implements Executor {
  readonly workers = 1;
  readonly #group: WorkerGroup;
  readonly #names: readonly string[];
  readonly #events: ExecutorEvents;
  readonly #maximumBytes: number;
  readonly #faults = new FaultLog();
  #pending: Pending[] = [];
  #memoryBytes = heapBase;
  #issued = 0;
  #retired = 0;

  constructor(
    group: WorkerGroup,
    maximumPages: number,
    names: readonly string[],
    events: ExecutorEvents,
  ) {
    this.#names = names;
    this.#group = group;
    this.#events = events;
    this.#maximumBytes = maximumPages * pageBytes;
    group.onReply = (reply) => this.#settle(reply);
    group.onLost = (error) => this.#fail(error);
  }

  get issued(): number {
    return this.#issued;
  }

  get retired(): number {
    return this.#retired;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** The worker grows its memory later; if the engine refuses then, the device is lost. */
  reserve(byteLength: number): boolean {
    const pages = Math.ceil((byteLength - this.#memoryBytes) / pageBytes);
    if (pages <= 0) return true;
    if (this.#memoryBytes + pages * pageBytes > this.#maximumBytes) return false;
    this.#memoryBytes += pages * pageBytes;
    this.#send({ kind: 'grow', pages }, {});
    return true;
  }

  assertAlive(): void {
    if (this.#group.lost) throw this.#group.lost;
  }

  run(command: Command, workspace: number): number {
    const { name, descriptor: record } = command.kind;
    const descriptor = new Uint8Array(record.byteLength);
    writeRecord(new DataView(descriptor.buffer), 0, record, command.values);
    const operation = commandIndex(this.#names, name);
    return this.#send({ kind: 'run', operation, workspace, descriptor }, { command });
  }

  write(address: number, bytes: Uint8Array): boolean {
    const copy = bytes.slice();
    this.#send({ kind: 'write', address, bytes: copy }, {}, [copy.buffer]);
    return true;
  }

  read(address: number, byteLength: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#send({ kind: 'read', address, byteLength }, { resolve, reject });
    });
  }

  async synchronize(): Promise<void> {
    await this.read(0, 0);
  }

  close(): Promise<void> {
    return this.#group.stop();
  }

  #send(
    request: PrivateRequest,
    pending: Omit<Pending, 'ticket'>,
    transfer?: ArrayBuffer[],
  ): number {
    this.assertAlive();
    const ticket = ++this.#issued;
    this.#pending.push({ ticket, ...pending });
    this.#group.post(request, transfer);
    this.#group.hold(true);
    return ticket;
  }

  #settle(reply: WorkerReply): void {
    const next = this.#pending.shift();
    if (reply.kind !== 'reply' || !next) return;
    this.#retired = next.ticket;
    if (reply.fault && next.command) {
      this.#faults.record(describeFault(next.command, reply.fault), next.ticket);
    }
    if (next.resolve && reply.bytes) {
      const fault = this.#faults.take(next.ticket, this.#issued);
      if (fault) next.reject?.(fault);
      else next.resolve(reply.bytes);
    }
    this.#events.onRetired();
    this.#group.hold(this.#pending.length > 0);
  }

  #fail(error: Error): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const { reject } of pending) reject?.(error);
  }
}
