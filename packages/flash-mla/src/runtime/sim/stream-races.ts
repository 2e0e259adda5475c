import { Footprint } from '@flash-mla/ptx';
import type { Handle } from '../cuda/driver/driver.ts';

/** How much of the work of each stream comes before a point. */
type Clock = ReadonlyMap<Handle, number>;

/** A launch, copy or fill that is looked at. */
export interface TrackedWork {
  readonly what: string;
  readonly stream: Handle;
  /** The how manieth of its stream it is. */
  readonly time: number;
  /** What comes before it. */
  readonly clock: Clock;
  readonly footprint: Footprint;
}

/** Two accesses on streams that no event orders. */
export class StreamRaceError extends Error {
  override readonly name = 'StreamRaceError';
}

/** How much work is remembered whose order nobody has asked for. */
const keptWork = 256;

/**
 * What is ordered before what on a simulated device, by vector clocks: each stream counts its work,
 * events carry counts from stream to stream, and so does a host that has seen an event. Work that is
 * done is held against all earlier work that does not come before it: if both touch a byte and one
 * writes it, then a GPU may run them either way round.
 *
 * With one stream there is nothing to find out, and nothing is kept.
 */
export class StreamRaces {
  readonly #names = new Map<Handle, string>();
  readonly #clocks = new Map<Handle, Map<Handle, number>>();
  readonly #events = new Map<Handle, Clock>();
  /** What the host has seen the end of: it comes before all that it enqueues. */
  readonly #host = new Map<Handle, number>();
  readonly #waiting = new Set<TrackedWork>();
  #done: TrackedWork[] = [];
  #calls = 0;

  addStream(stream: Handle, name: string): void {
    this.#names.set(stream, name);
  }

  /** Work of it that is under way goes on being looked at. */
  removeStream(stream: Handle): void {
    this.#names.delete(stream);
    this.#prune();
  }

  /** Work that is enqueued; undefined where there is one stream. */
  enqueue(stream: Handle, what: string): TrackedWork | undefined {
    this.#calls++;
    if (this.#names.size <= 1) return undefined;
    const clock = this.#clockOf(stream);
    join(clock, this.#host);
    const before = new Map(clock);
    const time = (clock.get(stream) ?? 0) + 1;
    clock.set(stream, time);
    const name = this.#names.get(stream) ?? 'a branch of a graph';
    const work = {
      what: `${what} (call ${this.#calls}, ${name})`,
      stream,
      time,
      clock: before,
      footprint: new Footprint(),
    };
    this.#waiting.add(work);
    return work;
  }

  record(event: Handle, stream: Handle): void {
    this.#events.set(event, new Map(this.#clockOf(stream)));
  }

  wait(stream: Handle, event: Handle): void {
    const clock = this.#events.get(event);
    if (clock !== undefined) join(this.#clockOf(stream), clock);
  }

  forget(event: Handle): void {
    this.#events.delete(event);
  }

  /** The host knows that an event is done. */
  seen(event: Handle): void {
    const clock = this.#events.get(event);
    if (clock === undefined || clock.size === 0) return;
    join(this.#host, clock);
    this.#prune();
  }

  /** Work is done: throws {@link StreamRaceError} if it should have been ordered after other work. */
  finish(work: TrackedWork): void {
    this.#waiting.delete(work);
    for (const earlier of this.#done) {
      if (isBefore(earlier, work)) continue;
      const overlap = work.footprint.overlap(earlier.footprint);
      if (overlap === undefined) continue;
      const { memory, offset, writes } = overlap;
      const [mine, theirs] = writes.map((isWrite) => (isWrite ? 'writes' : 'reads'));
      throw new StreamRaceError(
        `race between streams: ${work.what} ${mine} byte ${offset} of the ${memory.size} bytes at ` +
          `0x${memory.base.toString(16)}, which ${earlier.what} ${theirs}, and no event orders the two. ` +
          'Let the later stream wait() for an event that the earlier one record()s after its call.',
      );
    }
    this.#done.push(work);
    if (this.#done.length > keptWork) this.#done.shift();
  }

  clear(): void {
    this.#clocks.clear();
    this.#events.clear();
    this.#host.clear();
    this.#waiting.clear();
    this.#done = [];
  }

  #clockOf(stream: Handle): Map<Handle, number> {
    let clock = this.#clocks.get(stream);
    if (clock === undefined) {
      clock = new Map();
      this.#clocks.set(stream, clock);
    }
    return clock;
  }

  /** Forgets what comes before all work that there is and will be. */
  #prune(): void {
    // A stream that comes later begins after the work of the one that is left.
    if (this.#names.size <= 1 && this.#waiting.size === 0) this.#done = [];
    const waiting = [...this.#waiting];
    const isKnown = (work: TrackedWork) => (this.#host.get(work.stream) ?? 0) >= work.time;
    this.#done = this.#done.filter(
      (work) => !isKnown(work) || waiting.some((later) => !isBefore(work, later)),
    );
  }
}

/** Whether work is ordered before other work that was enqueued later. */
function isBefore(earlier: TrackedWork, later: TrackedWork): boolean {
  return earlier.stream === later.stream || (later.clock.get(earlier.stream) ?? 0) >= earlier.time;
}

function join(clock: Map<Handle, number>, other: Clock): void {
  for (const [stream, time] of other) {
    if ((clock.get(stream) ?? 0) < time) clock.set(stream, time);
  }
}
