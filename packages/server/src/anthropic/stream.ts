import type { ApiError } from '../errors.ts';
import { type AnswerItem, AnswerItems, type ItemChange } from '../generate/answer-items.ts';
import type { FinishReason, GenerationEvent, Usage } from '../generate/request.ts';
import { namedEvent } from '../http/event-stream.ts';
import type { StreamWriter } from '../http/run-answer.ts';
import { anthropicError, blockOf, deltaUsageOf, stopOf, usageOf } from './body.ts';

export interface MessageStreamOptions {
  /** What the message has before anything is generated. */
  readonly message: object;
  readonly promptTokens: number;
  /** For errors. */
  readonly requestId: string;
}

/** The events of a message. A block for each change of kind: clients take no mixed ones. */
export class MessageStream implements StreamWriter {
  readonly #options: MessageStreamOptions;
  readonly #items = new AnswerItems();
  #reason: FinishReason | undefined;
  #usage: Usage | undefined;

  constructor(options: MessageStreamOptions) {
    this.#options = options;
  }

  begin(): string[] {
    const { message: head, promptTokens } = this.#options;
    const none = { cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 };
    const message = {
      ...head,
      content: [],
      ...stopOf(undefined),
      stop_reason: null,
      usage: usageOf({ ...none, promptTokens }),
    };
    return [event('message_start', { message }), event('ping', {})];
  }

  write(it: GenerationEvent): string[] {
    if (it.kind === 'delta')
      return this.#items.add(it.parts).flatMap((change) => this.#change(change));
    this.#reason = it.reason;
    this.#usage = it.usage;
    return this.#items.end().flatMap((change) => this.#change(change));
  }

  end(): string[] {
    const usage = this.#usage && deltaUsageOf(this.#usage);
    return [
      event('message_delta', { delta: stopOf(this.#reason), usage }),
      event('message_stop', {}),
    ];
  }

  fail(error: ApiError): string[] {
    return [namedEvent('error', anthropicError(error, this.#options.requestId))];
  }

  #change(change: ItemChange): string[] {
    const { item } = change;
    const index = this.#items.items.indexOf(item);
    if (change.kind === 'end') return [event('content_block_stop', { index })];
    if (change.kind === 'text')
      return [event('content_block_delta', { index, delta: deltaOf(item, change.text) })];
    const empty = blockOf({ ...item, text: '' });
    return [event('content_block_start', { index, content_block: empty })];
  }
}

function deltaOf({ kind }: AnswerItem, text: string) {
  if (kind === 'message') return { type: 'text_delta', text };
  if (kind === 'reasoning') return { type: 'thinking_delta', thinking: text };
  return { type: 'input_json_delta', partial_json: text };
}

function event(type: string, data: object): string {
  return namedEvent(type, { type, ...data });
}
