import type { ApiError } from '../errors.ts';
import { totalUsage } from '../generate/collect.ts';
import type { GenerationEvent, Usage } from '../generate/request.ts';
import { openAiError } from '../http/error-body.ts';
import { dataEvent, doneEvent } from '../http/event-stream.ts';
import type { StreamWriter } from '../http/run-answer.ts';
import type { ServedTokenizer } from '../model/served-model.ts';
import { finishReason } from './chat-body.ts';
import { completionLogprobs } from './token-logprobs.ts';
import { usageBody } from './usage.ts';

export interface CompletionStreamOptions {
  readonly head: Readonly<Record<string, unknown>>;
  readonly choicesPerPrompt: number;
  /** The text that each choice begins with: its prompt, where it was asked for. */
  readonly echoes: readonly string[];
  readonly hasLogprobs: boolean;
  readonly includeUsage: boolean;
  readonly tokenizer: ServedTokenizer;
}

/** Chunks of a text completion. */
export class CompletionStream implements StreamWriter {
  readonly #options: CompletionStreamOptions;
  readonly #usages: Usage[] = [];
  readonly #lengths: number[];

  constructor(options: CompletionStreamOptions) {
    this.#options = options;
    this.#lengths = options.echoes.map(({ length }) => length);
  }

  begin(): string[] {
    const { echoes } = this.#options;
    return echoes.flatMap((text, index) => (text === '' ? [] : [this.#chunk(index, text)]));
  }

  write(event: GenerationEvent): string[] {
    const { index } = event;
    if (event.kind === 'finish') {
      this.#usages[index] = event.usage;
      return [this.#chunk(index, '', finishReason(event.reason))];
    }
    const text = event.parts.map((part) => ('text' in part ? part.text : '')).join('');
    const { hasLogprobs, tokenizer } = this.#options;
    const offset = this.#lengths[index] ?? 0;
    this.#lengths[index] = offset + text.length;
    const logprobs = hasLogprobs ? completionLogprobs(tokenizer, event.logprobs, offset) : null;
    return text === '' && logprobs === null ? [] : [this.#chunk(index, text, null, logprobs)];
  }

  end(): string[] {
    const { choicesPerPrompt, head, includeUsage } = this.#options;
    if (!includeUsage) return [doneEvent];
    const usage = usageBody(totalUsage(this.#usages, choicesPerPrompt));
    return [dataEvent({ ...head, choices: [], usage }), doneEvent];
  }

  fail(error: ApiError): string[] {
    return [dataEvent(openAiError(error)), doneEvent];
  }

  #chunk(
    index: number,
    text: string,
    finish: string | null = null,
    logprobs: object | null = null,
  ) {
    const choices = [{ index, text, logprobs, finish_reason: finish }];
    const usage = this.#options.includeUsage ? { usage: null } : {};
    return dataEvent({ ...this.#options.head, choices, ...usage });
  }
}
