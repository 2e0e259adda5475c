import type { BackendEvent } from '../../device/backend.ts';
import type { Handle } from '../driver/driver.ts';
import type { Timeline } from './timeline.ts';

/** A mark on a stream's timeline. */
export class CudaEvent implements BackendEvent {
  readonly #timeline: Timeline;
  readonly #mark: number;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
    this.#mark = timeline.mark();
  }

  /** What is enqueued later on that stream waits for the event. */
  holdBack(stream: Handle): void {
    this.#timeline.holdBack(stream, this.#mark);
  }

  isDone(): boolean {
    return this.#timeline.isReached(this.#mark);
  }

  synchronize(): Promise<void> {
    return this.#timeline.wait(this.#mark);
  }
}
