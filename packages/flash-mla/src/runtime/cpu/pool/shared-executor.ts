import type { Command } from '../commands/command.ts';
import { commandIndex } from '../commands/command-names.ts';
import { headBytes } from '../commands/define-command.ts';
import { describeFault } from '../commands/faults.ts';
import { writeRecord } from '../commands/schema.ts';
import type { Executor, ExecutorEvents } from './executor.ts';
import { FaultLog } from './fault-log.ts';
import { doneWord, headWord, reached, slotAddress, slotCount, wantWord, word } from './protocol.ts';
import type { WorkerGroup } from './worker-group.ts';

interface CommandItem {
  readonly ticket: number;
  readonly command: Command;
  readonly workspace: number;
}

/** A synchronisation is a read of no bytes. */
interface ReadItem {
  readonly ticket: number;
  readonly address: number;
  readonly byteLength: number;
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
}

const pageBytes = 65536;

/**
 * Threads over one shared memory. Commands go through a ring in that memory, so that a busy host does
 * not hold up the workers; the host hears by message when what it waits for is done.
 *
 * A read waits until the workers are idle and holds back what was enqueued after it, which might
 * overwrite the bytes.
 */
export class SharedExecutor implements Executor {
  readonly workers: number;
  readonly #memory: WebAssembly.Memory;
  readonly #group: WorkerGroup;
  readonly #names: readonly string[];
  readonly #events: ExecutorEvents;
  readonly #faults = new FaultLog();
  readonly #words: Int32Array<ArrayBufferLike>;
  /** The page of {@link SharedExecutor.#words}. */
  readonly #page: DataView;
  /** Handed over and not yet known to be done. */
  readonly #running: { item: CommandItem; sequence: number }[] = [];
  /** Not yet handed over, in order. */
  #waiting: (CommandItem | ReadItem)[] = [];
  #sequence = 0;
  #issued = 0;
  #retired = 0;

  constructor(
    memory: WebAssembly.Memory,
    group: WorkerGroup,
    workers: number,
    names: readonly string[],
    events: ExecutorEvents,
  ) {
    this.#names = names;
    this.#memory = memory;
    this.#group = group;
    this.workers = workers;
    this.#events = events;
    this.#words = new Int32Array(memory.buffer, 0, pageBytes / 4);
    this.#page = new DataView(memory.buffer, 0, pageBytes);
    group.onReply = () => this.#advance();
    group.onLost = (error) => this.#fail(error);
  }

  get issued(): number {
    return this.#issued;
  }

  get retired(): number {
    this.#retire();
    return this.#retired;
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  reserve(byteLength: number): boolean {
    const missing = Math.ceil((byteLength - this.memoryBytes) / pageBytes);
    if (missing <= 0) return true;
    try {
      this.#memory.grow(missing);
      return true;
    } catch {
      return false;
    }
  }

  run(command: Command, workspace: number): number {
    this.assertAlive();
    const ticket = ++this.#issued;
    this.#waiting.push({ ticket, command, workspace });
    this.#advance();
    return ticket;
  }

  write(address: number, bytes: Uint8Array, lastUse: number): boolean {
    this.assertAlive();
    if (lastUse > this.retired) return false;
    new Uint8Array(this.#memory.buffer, address, bytes.byteLength).set(bytes);
    return true;
  }

  async read(address: number, byteLength: number): Promise<Uint8Array> {
    this.assertAlive();
    const ticket = ++this.#issued;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ticket, address, byteLength, resolve, reject });
      this.#advance();
    });
  }

  async synchronize(): Promise<void> {
    await this.read(0, 0);
  }

  close(): Promise<void> {
    return this.#group.stop();
  }

  assertAlive(): void {
    if (this.#group.lost) throw this.#group.lost;
  }

  /** Takes note of what is done, hands over what can be, and asks for the next message. */
  #advance(): void {
    for (;;) {
      this.#retire();
      while (this.#handOver()) {}
      const awaited = this.#awaited();
      if (awaited === undefined) break;
      Atomics.store(this.#words, wantWord, awaited);
      // It may have been done before its worker could see that it is wanted.
      if (!reached(Atomics.load(this.#words, doneWord), awaited)) break;
    }
    this.#group.hold(this.#running.length > 0 || this.#waiting.length > 0);
  }

  #retire(): void {
    const done = Atomics.load(this.#words, doneWord);
    const before = this.#retired;
    for (;;) {
      const first = this.#running[0];
      if (!first || !reached(done, first.sequence)) break;
      this.#running.shift();
      this.#retired = first.item.ticket;
      this.#inspect(first.item, first.sequence);
    }
    if (this.#retired !== before) this.#events.onRetired();
  }

  /** Hands over the next thing in line. False if there is none or it has to wait. */
  #handOver(): boolean {
    const next = this.#waiting[0];
    if (!next) return false;
    if ('command' in next) {
      if (this.#running.length === slotCount) return false;
      this.#submit(next);
      this.#waiting.shift();
      return true;
    }
    if (this.#running.length > 0) return false;
    this.#waiting.shift();
    this.#retired = next.ticket;
    const fault = this.#faults.take(next.ticket, this.#issued);
    if (fault) next.reject(fault);
    else {
      next.resolve(new Uint8Array(this.#memory.buffer, next.address, next.byteLength).slice());
    }
    this.#events.onRetired();
    return true;
  }

  #submit(item: CommandItem): void {
    const sequence = (this.#sequence + 1) | 0;
    const { kind, values } = item.command;
    const words = this.#words;
    const address = slotAddress(sequence);
    const slot = address / 4;
    words.fill(0, slot, slot + headBytes / 4);
    words[slot + word.operation] = commandIndex(this.#names, kind.name);
    words[slot + word.workspace] = item.workspace;
    writeRecord(this.#page, address + headBytes, kind.descriptor, values);
    this.#sequence = sequence;
    this.#running.push({ item, sequence });
    Atomics.store(words, headWord, sequence);
    Atomics.notify(words, headWord);
  }

  #inspect(item: CommandItem, sequence: number): void {
    const slot = slotAddress(sequence) / 4;
    const words = this.#words;
    const code = words[slot + word.errorCode] as number;
    if (code === 0) return;
    const fault = {
      code,
      row: words[slot + word.errorRow] as number,
      column: words[slot + word.errorColumn] as number,
      value: words[slot + word.errorValue] as number,
    };
    this.#faults.record(describeFault(item.command, fault), item.ticket);
  }

  /** Which command the host has to hear about next. */
  #awaited(): number | undefined {
    // With more to hand over, do not let the ring run dry.
    const full = this.#running.length === slotCount;
    return this.#running[full ? slotCount / 2 : this.#running.length - 1]?.sequence;
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#running.length = 0;
    for (const item of waiting) if ('reject' in item) item.reject(error);
  }
}
