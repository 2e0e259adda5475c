import type { AnswerPart, ChatMessage } from 'flash-mla/models';
import type { TaskContext } from '../session.ts';
import { model } from './model.ts';

export interface ChatRequest {
  /** The conversation so far. */
  readonly messages: readonly ChatMessage[];
  /** 0: the likeliest token. */
  readonly temperature: number;
  /** Tokens of the answer at most. */
  readonly maxTokens: number;
  /** Absent: another one each time. */
  readonly seed: number | undefined;
}

/** What an answer has cost so far. */
export interface ChatTimes {
  readonly tokens: number;
  /** From the request to the first token. */
  readonly firstTokenMs: number;
  /** Of the tokens behind the first one; 0 where there are none. */
  readonly tokensPerSecond: number;
}

/** What has come since the event before. */
export interface ChatEvent extends ChatTimes {
  readonly parts: readonly AnswerPart[];
}

export interface ChatEnd {
  /** `length`: the longest answer, or the context, was used up. */
  readonly reason: 'stop' | 'length' | 'stopped';
  readonly promptTokens: number | undefined;
}

/** Milliseconds between events: the page draws no faster. */
const period = 30;

/** Answers a conversation, and gives the answer as it comes. */
export async function chat(
  { messages, temperature, maxTokens, seed }: ChatRequest,
  { signal, emit }: TaskContext<ChatEvent>,
): Promise<ChatEnd> {
  const { Thoughts } = await import('flash-mla/models');
  const answering = model();
  const { chatTemplate } = answering.tokenizer;
  const prompt = chatTemplate ? { messages } : messages.map(({ content }) => content).join('');
  const rendered = chatTemplate?.render(messages) ?? '';
  const thoughts = new Thoughts(rendered.trimEnd().endsWith('<think>'));
  const times = new AnswerTimes();
  let parts: AnswerPart[] = [];
  let sent = 0;
  const send = () => {
    sent = performance.now();
    emit({ parts, ...times.sum() });
    parts = [];
  };
  const options = { temperature, maxTokens, signal, skipSpecialTokens: false };
  try {
    const pieces = answering.generate(prompt, { ...options, ...(seed !== undefined && { seed }) });
    for await (const { text, tokens, end } of pieces) {
      times.add(tokens.length);
      parts.push(...thoughts.push(text));
      if (end !== undefined) return { reason: end.reason, promptTokens: end.promptTokens };
      if (performance.now() - sent > period) send();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    parts.push(...thoughts.flush());
    send();
  }
  return { reason: 'stopped', promptTokens: undefined };
}

/** Tells how fast an answer comes. */
class AnswerTimes {
  readonly #begin = performance.now();
  #first: number | undefined;
  #last = this.#begin;
  #tokens = 0;
  #ofFirst = 0;

  add(tokens: number): void {
    if (tokens === 0) return;
    this.#last = performance.now();
    this.#tokens += tokens;
    if (this.#first !== undefined) return;
    this.#first = this.#last;
    this.#ofFirst = tokens;
  }

  sum(): ChatTimes {
    const first = this.#first ?? this.#last;
    const seconds = (this.#last - first) / 1e3;
    return {
      tokens: this.#tokens,
      firstTokenMs: first - this.#begin,
      tokensPerSecond: seconds > 0 ? (this.#tokens - this.#ofFirst) / seconds : 0,
    };
  }
}
