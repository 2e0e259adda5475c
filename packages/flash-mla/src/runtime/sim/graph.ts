import type { Handle } from '../cuda/driver/driver.ts';
import type { Action } from './context.ts';

/** What a graph does on one of its branches. */
export interface GraphStep {
  /** The driver's call, and words for it. */
  readonly call: string;
  readonly what: string;
  readonly action: Action;
}

/** Where a graph is launched. */
export interface GraphTarget {
  enqueue(branch: Handle, step: GraphStep): void;
  record(event: Handle, branch: Handle): void;
  wait(branch: Handle, event: Handle): void;
}

type Entry =
  | { readonly kind: 'work'; readonly stream: Handle; readonly step: GraphStep }
  | { readonly kind: 'record' | 'wait'; readonly stream: Handle; readonly event: Handle };

/**
 * A graph as it was recorded: the work of its streams in the order of the calls, and the events between
 * them. Each launch runs on the stream that it is given; the other streams become branches.
 */
export class SimGraph {
  readonly #origin: Handle;
  readonly #streams: Set<Handle>;
  readonly #events = new Set<Handle>();
  readonly #entries: Entry[] = [];
  /** What stands for the recorded streams and events in launches. */
  readonly #standIns = new Map<Handle, Handle>();
  /** The end of the launch before: launches of one graph do not overlap. */
  #end: Handle = 0;

  constructor(origin: Handle) {
    this.#origin = origin;
    this.#streams = new Set([origin]);
  }

  /** Whether the work of a stream is recorded. */
  has(stream: Handle): boolean {
    return this.#streams.has(stream);
  }

  /** Whether an event was recorded within. */
  knows(event: Handle): boolean {
    return this.#events.has(event);
  }

  add(stream: Handle, step: GraphStep): void {
    this.#entries.push({ kind: 'work', stream, step });
  }

  record(event: Handle, stream: Handle): void {
    this.#events.add(event);
    this.#entries.push({ kind: 'record', stream, event });
  }

  /** The stream is part of the graph from here on. */
  wait(stream: Handle, event: Handle): void {
    this.#streams.add(stream);
    this.#entries.push({ kind: 'wait', stream, event });
  }

  /** The recording is over: streams and events outside mean nothing in the graph any more. */
  end(newHandle: () => Handle): void {
    for (const handle of [...this.#streams, ...this.#events]) {
      this.#standIns.set(handle, newHandle());
    }
    this.#end = newHandle();
  }

  launch(stream: Handle, target: GraphTarget): void {
    const branchOf = (recorded: Handle) =>
      recorded === this.#origin ? stream : this.#of(recorded);
    target.wait(stream, this.#end);
    for (const entry of this.#entries) {
      const branch = branchOf(entry.stream);
      if (entry.kind === 'work') target.enqueue(branch, entry.step);
      else if (entry.kind === 'record') target.record(this.#of(entry.event), branch);
      else target.wait(branch, this.#of(entry.event));
    }
    target.record(this.#end, stream);
  }

  #of(recorded: Handle): Handle {
    return this.#standIns.get(recorded) ?? recorded;
  }
}
