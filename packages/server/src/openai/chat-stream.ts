import type { ApiError } from '../errors.ts';
import { totalUsage } from '../generate/collect.ts';
import type { GenerationEvent, Usage } from '../generate/request.ts';
import { openAiError } from '../http/error-body.ts';
import { dataEvent, doneEvent } from '../http/event-stream.ts';
import type { StreamWriter } from '../http/run-answer.ts';
import type { ServedTokenizer } from '../model/served-model.ts';
import type { ReasoningField } from '../options.ts';
import type { OutputPart } from '../output/parts.ts';
import { finishReason, newCallId, reasoningFields } from './chat-body.ts';
import { chatLogprobs } from './token-logprobs.ts';
import { usageBody } from './usage.ts';

export interface ChatStreamOptions {
  /** What every chunk has: id, created, model, fingerprint. */
  readonly head: Readonly<Record<string, unknown>>;
  readonly numChoices: number;
  readonly field: ReasoningField;
  readonly hasLogprobs: boolean;
  readonly includeUsage: boolean;
  /** With every chunk, the tokens so far. */
  readonly continuousUsage: boolean;
  readonly promptTokens: number;
  readonly tokenizer: ServedTokenizer;
}

/** Chat completion chunks: a role, deltas, an end for each choice; then usage if asked for. */
export class ChatStream implements StreamWriter {
  readonly #options: ChatStreamOptions;
  readonly #usages: Usage[] = [];
  #outputTokens = 0;

  constructor(options: ChatStreamOptions) {
    this.#options = options;
  }

  begin(): string[] {
    const { numChoices } = this.#options;
    return Array.from({ length: numChoices }, (_, index) =>
      this.#chunk(index, { role: 'assistant', content: '' }),
    );
  }

  write(event: GenerationEvent): string[] {
    const { index } = event;
    if (event.kind === 'finish') {
      this.#usages.push(event.usage);
      return [this.#chunk(index, {}, finishReason(event.reason))];
    }
    this.#outputTokens += event.tokens.length;
    const { hasLogprobs, tokenizer } = this.#options;
    const logprobs = hasLogprobs ? chatLogprobs(tokenizer, event.logprobs) : null;
    const deltas = event.parts.flatMap((part) => this.#delta(part));
    // Log-probabilities of text that is held back come at once, with the first piece or by themselves.
    if (deltas.length === 0 && logprobs !== null) deltas.push({ content: '' });
    return deltas.map((delta, i) => this.#chunk(index, delta, null, i === 0 ? logprobs : null));
  }

  end(): string[] {
    if (!this.#options.includeUsage) return [doneEvent];
    const usage = usageBody(totalUsage(this.#usages, this.#options.numChoices));
    return [dataEvent({ ...this.#options.head, choices: [], usage }), doneEvent];
  }

  fail(error: ApiError): string[] {
    return [dataEvent(openAiError(error)), doneEvent];
  }

  #delta(part: OutputPart): object[] {
    if (part.kind === 'text') return [{ content: part.text }];
    if (part.kind === 'reasoning') {
      const fields = reasoningFields(part.text, this.#options.field);
      return Object.keys(fields).length === 0 ? [] : [fields];
    }
    const call =
      part.kind === 'call'
        ? {
            index: part.call,
            id: part.id ?? newCallId(),
            type: 'function',
            function: { name: part.name, arguments: '' },
          }
        : { index: part.call, function: { arguments: part.text } };
    return [{ tool_calls: [call] }];
  }

  #chunk(
    index: number,
    delta: object,
    finish: string | null = null,
    logprobs: object | null = null,
  ) {
    const choices = [{ index, delta, logprobs, finish_reason: finish }];
    return dataEvent({ ...this.#options.head, choices, ...this.#usage() });
  }

  #usage(): object {
    const { continuousUsage, includeUsage, promptTokens } = this.#options;
    if (!includeUsage && !continuousUsage) return {};
    if (!continuousUsage) return { usage: null };
    const outputTokens = this.#outputTokens;
    const total = promptTokens + outputTokens;
    return {
      usage: { prompt_tokens: promptTokens, completion_tokens: outputTokens, total_tokens: total },
    };
  }
}
