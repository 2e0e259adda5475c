import type { ApiError } from '../errors.ts';
import { type AnswerItem, AnswerItems, type ItemChange } from '../generate/answer-items.ts';
import type { GenerationEvent, Usage } from '../generate/request.ts';
import { namedEvent } from '../http/event-stream.ts';
import type { StreamWriter } from '../http/run-answer.ts';
import { type ResponseHead, responseBody } from './response-body.ts';
import { itemBody, itemId, statusOf, textPart } from './response-items.ts';

/** The events of a response, each with a number. */
export class ResponsesStream implements StreamWriter {
  readonly #head: ResponseHead;
  readonly #items = new AnswerItems();
  #number = 0;
  #usage: Usage | undefined;
  #status: 'completed' | 'incomplete' = 'completed';

  constructor(head: ResponseHead) {
    this.#head = head;
  }

  begin(): string[] {
    const response = responseBody(this.#head, { status: 'in_progress' });
    return [
      this.#event('response.created', { response }),
      this.#event('response.in_progress', { response }),
    ];
  }

  write(event: GenerationEvent): string[] {
    if (event.kind === 'delta')
      return this.#items.add(event.parts).flatMap((change) => this.#change(change));
    this.#usage = event.usage;
    this.#status = statusOf(event.reason);
    return this.#items.end().flatMap((change) => this.#change(change));
  }

  end(): string[] {
    const response = responseBody(this.#head, {
      status: this.#status,
      items: this.#items.items,
      ...(this.#usage && { usage: this.#usage }),
    });
    return [this.#event(`response.${this.#status}`, { response })];
  }

  fail({ message, status }: ApiError): string[] {
    // The codes that the API knows; of those few that fit.
    const error = { code: status === 429 ? 'rate_limit_exceeded' : 'server_error', message };
    const response = responseBody(this.#head, {
      status: 'failed',
      items: this.#items.items,
      error,
    });
    return [this.#event('response.failed', { response })];
  }

  #change(change: ItemChange): string[] {
    const { item } = change;
    if (change.kind !== 'text')
      return change.kind === 'begin' ? this.#begin(item) : this.#end(item);
    const at = this.#place(item);
    if (item.kind === 'call')
      return [this.#event('response.function_call_arguments.delta', { ...at, delta: change.text })];
    const more = { ...at, content_index: 0, delta: change.text };
    if (item.kind === 'reasoning') return [this.#event('response.reasoning_text.delta', more)];
    return [this.#event('response.output_text.delta', { ...more, logprobs: [] })];
  }

  #begin(item: AnswerItem): string[] {
    const { output_index, ...at } = this.#place(item);
    const added = this.#event('response.output_item.added', {
      output_index,
      item: itemBody(item, 'in_progress'),
    });
    if (item.kind === 'call') return [added];
    const part = item.kind === 'message' ? textPart('') : { type: 'reasoning_text', text: '' };
    const where = { ...at, output_index, content_index: 0 };
    return [added, this.#event('response.content_part.added', { ...where, part })];
  }

  #end(item: AnswerItem): string[] {
    const at = this.#place(item);
    const { text } = item;
    const done = () =>
      this.#event('response.output_item.done', {
        output_index: at.output_index,
        item: itemBody(item, this.#status),
      });
    if (item.kind === 'call') {
      const { name } = item;
      const data = { ...at, name, arguments: text };
      return [this.#event('response.function_call_arguments.done', data), done()];
    }
    const where = { ...at, content_index: 0 };
    const isMessage = item.kind === 'message';
    const part = isMessage ? textPart(text) : { type: 'reasoning_text', text };
    return [
      isMessage
        ? this.#event('response.output_text.done', { ...where, text, logprobs: [] })
        : this.#event('response.reasoning_text.done', { ...where, text }),
      this.#event('response.content_part.done', { ...where, part }),
      done(),
    ];
  }

  #place(item: AnswerItem) {
    return { item_id: itemId(item), output_index: this.#items.items.indexOf(item) };
  }

  #event(type: string, data: object): string {
    return namedEvent(type, { type, sequence_number: this.#number++, ...data });
  }
}
