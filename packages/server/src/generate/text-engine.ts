import type { EngineEvent, EngineStats } from '@flash-mla/engine';
import type { ServedModel } from '../model/served-model.ts';
import type { Backend } from './backend.ts';
import { ChoiceOutput } from './choice-output.ts';
import type { GenerationEvent, GenerationListener, GenerationRequest } from './request.ts';

/** A request that runs. */
export interface Generation {
  /** Ends it; the listener hears of it. Once it has ended, nothing happens. */
  cancel(): void;
}

/** Requests in tokens, answers in text: the engine with the ends of text on both sides. */
export class TextEngine {
  readonly model: ServedModel;
  readonly #backend: Backend;
  readonly #onClose: () => Promise<void>;

  /** @param onClose ends what else belongs to the engine */
  constructor(model: ServedModel, backend: Backend, onClose: () => Promise<void> = async () => {}) {
    this.model = model;
    this.#backend = backend;
    this.#onClose = onClose;
  }

  /**
   * Starts a request. The listener is called at most once for each step, with one `finish` event for
   * each choice.
   *
   * @throws what the engine refuses it with; then the listener is never called
   */
  async start(request: GenerationRequest, listener: GenerationListener): Promise<Generation> {
    const { id, n, prompt, sampling } = request;
    const choices = Array.from(
      { length: n },
      (_, i) => new ChoiceOutput(request, i, this.model.tokenizer),
    );
    const take = (events: readonly EngineEvent[]) => {
      const out: GenerationEvent[] = [];
      for (const event of events) {
        const choice = choices[event.index];
        if (choice === undefined) continue;
        if (event.kind === 'finished') out.push(...choice.finish(event));
        else if (choice.push(event)) this.#backend.finish(id, event.index);
      }
      const ended = new Set(out.map(({ index }) => index));
      for (const choice of choices) {
        const delta = ended.has(choice.index) ? undefined : choice.takeDelta();
        if (delta !== undefined) out.push(delta);
      }
      if (out.length > 0) listener(out);
    };
    await this.#backend.submit(
      {
        id,
        n,
        prompt,
        sampling,
        stopTokens: request.stopTokens,
        minTokens: request.minTokens,
        priority: request.priority,
        tenant: request.tenant,
        ...(request.maxTokens !== undefined && { maxTokens: request.maxTokens }),
        ...(request.cacheSalt !== undefined && { cacheSalt: request.cacheSalt }),
        ...(request.timeoutMs !== undefined && { timeoutMs: request.timeoutMs }),
        ...(request.grammar && { grammar: request.grammar }),
        ...(request.grammarAfter !== undefined && { grammarAfter: request.grammarAfter }),
      },
      take,
    );
    return { cancel: () => this.#backend.cancel(id) };
  }

  stats(): EngineStats {
    return this.#backend.stats();
  }

  ping(): Promise<void> {
    return this.#backend.ping();
  }

  /** How long the engine has given no sign of life though it was asked for one, in milliseconds. */
  silentMs(): number {
    return this.#backend.silentMs();
  }

  get stopped(): Promise<Error> {
    return this.#backend.stopped;
  }

  async close(): Promise<void> {
    await Promise.all([this.#backend.close(), this.#onClose()]);
  }
}
