import type { GenerationEvent, GenerationListener, GenerationRequest } from './request.ts';
import type { Generation, TextEngine } from './text-engine.ts';

/**
 * The generations that one answer is made of: one for each prompt. Choices are counted through. Events
 * that come before somebody listens wait.
 */
export class Answer {
  /** Resolves when every choice has ended. */
  readonly done: Promise<void>;
  readonly numChoices: number;
  readonly #generations: Generation[] = [];
  #listener: GenerationListener | undefined;
  #waiting: GenerationEvent[] = [];
  #numOpen: number;
  #resolve: () => void = () => {};

  private constructor(numChoices: number) {
    this.numChoices = numChoices;
    this.#numOpen = numChoices;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** @throws what the engine refuses one of the requests with; none runs then. */
  static async start(engine: TextEngine, requests: readonly GenerationRequest[]): Promise<Answer> {
    const answer = new Answer(requests.reduce((sum, { n }) => sum + n, 0));
    let offset = 0;
    try {
      for (const request of requests) {
        const first = offset;
        offset += request.n;
        answer.#generations.push(
          await engine.start(request, (events) => answer.#take(events, first)),
        );
      }
    } catch (error) {
      answer.cancel();
      throw error;
    }
    return answer;
  }

  listen(listener: GenerationListener): void {
    this.#listener = listener;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length > 0) this.#tell(waiting);
  }

  cancel(): void {
    for (const generation of this.#generations) generation.cancel();
  }

  #take(events: readonly GenerationEvent[], offset: number): void {
    const shifted =
      offset === 0 ? events : events.map((event) => ({ ...event, index: event.index + offset }));
    if (this.#listener === undefined) this.#waiting.push(...shifted);
    else this.#tell(shifted);
  }

  #tell(events: readonly GenerationEvent[]): void {
    this.#listener?.(events);
    this.#numOpen -= events.filter(({ kind }) => kind === 'finish').length;
    if (this.#numOpen === 0) this.#resolve();
  }
}
