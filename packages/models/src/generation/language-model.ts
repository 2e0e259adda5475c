import { type Engine, type EngineEvent, EngineLoop, type TokenLogprobs } from '@flash-mla/engine';
import type { GenerationConfig } from '../config/generation-config.ts';
import type { ModelConfig } from '../config/model-config.ts';
import { ModelError, ModelOptionError, shown } from '../errors.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  type GeneratedPiece,
  type GenerateOptions,
  type GenerationEnd,
  type Prompt,
  samplingOf,
} from './options.ts';
import { TextStream } from './text-stream.ts';

/** What a {@link LanguageModel} is made of. */
export interface LanguageModelParts {
  readonly name: string;
  readonly config: ModelConfig;
  readonly generationConfig: GenerationConfig;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  /** Frees the device's memory. */
  readonly release: () => void | Promise<void>;
}

/** A loaded model. Calls that run at the same time share its steps. */
export class LanguageModel implements AsyncDisposable {
  /** The folder or package that it was loaded from. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly generationConfig: GenerationConfig;
  readonly tokenizer: Tokenizer;
  /** Tokens that end an answer: the model's own. */
  readonly stopTokens: readonly number[];
  /** The longest sequence, prompt and answer together. */
  readonly maxTokens: number;
  readonly #loop: EngineLoop;
  readonly #release: () => void | Promise<void>;
  #numRequests = 0;
  #disposed: Promise<void> | undefined;

  constructor({ name, config, generationConfig, tokenizer, engine, release }: LanguageModelParts) {
    this.name = name;
    this.config = config;
    this.generationConfig = generationConfig;
    this.tokenizer = tokenizer;
    this.stopTokens = generationConfig.eosTokenIds ?? config.eosTokenIds;
    this.maxTokens = engine.options.maxModelLength;
    this.#loop = new EngineLoop(engine);
    this.#release = release;
  }

  /**
   * Token ids of a prompt. Throws {@link ModelOptionError} for ids that the model does not have, and
   * TokenizerError where the template refuses the messages.
   */
  encode(prompt: Prompt): number[] {
    if (typeof prompt === 'string') return this.tokenizer.encode(prompt);
    if ('messages' in prompt) {
      const { messages, tools, variables } = prompt;
      const options = { ...(tools && { tools }), ...(variables && { variables }) };
      const text = this.#template().render(messages, options);
      return this.tokenizer.encode(text, { addSpecialTokens: false });
    }
    const ids = Array.from(prompt);
    const { vocabSize } = this.config;
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (bad === undefined) return ids;
    throw new ModelOptionError({
      subject: 'prompt',
      expected: `token ids from 0 to ${vocabSize - 1}`,
      actual: shown(bad),
      remedy: "Encode text with the model's own tokenizer.",
    });
  }

  /**
   * Generates an answer, piece by piece as it comes. The last piece has `end`. Leaving the loop early ends
   * the generation.
   *
   * Throws {@link ModelOptionError} for an empty prompt, the errors of the engine for options that make no
   * sense and prompts that are too long, and the signal's reason.
   */
  async *generate(
    prompt: Prompt,
    options: GenerateOptions = {},
  ): AsyncGenerator<GeneratedPiece, void, undefined> {
    const { signal } = options;
    signal?.throwIfAborted();
    const { id, events } = this.#submit(prompt, options);
    const abort = () => events.push({ kind: 'aborted' });
    signal?.addEventListener('abort', abort);
    const stop = typeof options.stop === 'string' ? [options.stop] : (options.stop ?? []);
    const text = new TextStream(this.tokenizer, {
      stop,
      skipSpecialTokens: options.skipSpecialTokens ?? true,
    });
    const stopTokens = new Set(this.#stopTokensOf(options));
    try {
      let tokens: number[] = [];
      let logprobs: TokenLogprobs[] = [];
      let stopped = false;
      for (;;) {
        const event = await events.next();
        if (event.kind === 'aborted') signal?.throwIfAborted();
        else if (event.kind === 'finished') {
          const end = endOf(event);
          const rest = stopped ? '' : text.flush();
          yield { text: rest, tokens, logprobs, end };
          return;
        } else if (event.kind === 'token' && !stopped) {
          tokens.push(event.token);
          if (event.logprobs !== undefined) logprobs.push(event.logprobs);
          // The token that ends the answer is no text of it.
          const piece = stopTokens.has(event.token)
            ? { text: '', stopped: false }
            : text.push(event.token);
          if (piece.stopped) {
            stopped = true;
            this.#loop.finish(id);
          }
          if (piece.text === '') continue;
          yield { text: piece.text, tokens, logprobs };
          tokens = [];
          logprobs = [];
        }
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#loop.cancel(id);
    }
  }

  /** Ends all generations and frees the weights. Waits for the step that runs. */
  dispose(): Promise<void> {
    this.#disposed ??= this.#loop.close().then(this.#release);
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #submit(prompt: Prompt, options: GenerateOptions) {
    const tokens = this.encode(prompt);
    if (tokens.length === 0) {
      throw new ModelOptionError({
        subject: 'prompt',
        expected: 'at least one token',
        actual: 'none',
        remedy: 'Begin with some text, or with the token that begins a sequence.',
      });
    }
    const id = `${++this.#numRequests}`;
    const events = new EventQueue();
    this.#loop.submit(
      {
        id,
        prompt: tokens,
        sampling: samplingOf(options, this.generationConfig),
        stopTokens: this.#stopTokensOf(options),
        ...(options.maxTokens !== undefined && { maxTokens: options.maxTokens }),
        ...(options.minTokens !== undefined && { minTokens: options.minTokens }),
      },
      (list) => events.push(...list),
    );
    return { id, events };
  }

  #stopTokensOf({ ignoreEos = false, stopTokens = [] }: GenerateOptions): readonly number[] {
    return ignoreEos ? stopTokens : [...this.stopTokens, ...stopTokens];
  }

  #template() {
    const { chatTemplate } = this.tokenizer;
    if (chatTemplate !== undefined) return chatTemplate;
    throw new ModelOptionError({
      subject: 'prompt',
      expected: 'text or token ids, since the model has no chat template',
      actual: 'messages',
      remedy: 'Write the conversation as text in the way the model was trained on.',
    });
  }
}

type GenerationEvent = EngineEvent | { readonly kind: 'aborted' };

/** Events in order, for one reader. */
class EventQueue {
  readonly #events: GenerationEvent[] = [];
  #wake: (() => void) | undefined;

  push(...events: readonly GenerationEvent[]): void {
    this.#events.push(...events);
    this.#wake?.();
  }

  async next(): Promise<GenerationEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Throws where a generation did not come to its end. */
function endOf({ outcome, stats }: Extract<EngineEvent, { kind: 'finished' }>): GenerationEnd {
  if (outcome.reason === 'error') throw outcome.error;
  if (outcome.reason !== 'stop' && outcome.reason !== 'length') {
    throw new ModelError({
      subject: 'generation',
      expected: 'a model that stays loaded until the answer ends',
      actual: 'one that was disposed of',
      remedy: 'Dispose of a model after the last answer has ended.',
    });
  }
  const { arrivedAt, firstTokenAt = arrivedAt, lastTokenAt = firstTokenAt } = stats;
  return {
    reason: outcome.reason,
    promptTokens: stats.promptTokens,
    cachedTokens: stats.cachedTokens,
    outputTokens: stats.outputTokens,
    firstTokenMs: firstTokenAt - arrivedAt,
    restMs: lastTokenAt - firstTokenAt,
  };
}
