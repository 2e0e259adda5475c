import type { Delta } from './answer-view.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface Ask {
  readonly model: string;
  readonly messages: readonly Message[];
  readonly temperature?: number;
  readonly max_tokens?: number;
}

export interface StreamEnd {
  readonly reason: string;
  readonly tokens: number;
  readonly milliseconds: number;
}

/** What a chunk of the stream may have. */
interface Chunk {
  readonly error?: { readonly message: string };
  readonly choices?: readonly { readonly delta: Delta; readonly finish_reason: string | null }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

/** The headers of a request, with the key where there is one. */
export function headersWith(key: string): Record<string, string> {
  const type = { 'content-type': 'application/json' };
  return key === '' ? type : { ...type, authorization: `Bearer ${key}` };
}

/** Asks, and hands on what comes. Rejected with the server's words where it refuses. */
export async function ask(
  body: Ask,
  key: string,
  signal: AbortSignal,
  onDelta: (delta: Delta) => void,
): Promise<StreamEnd> {
  const response = await fetch('/v1/chat/completions', {
    method: 'POST',
    headers: headersWith(key),
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  if (!response.ok || response.body === null) {
    const answer: Chunk | undefined = await response.json().catch(() => undefined);
    throw new Error(answer?.error?.message ?? `The server answered ${response.status}.`);
  }
  let [reason, tokens] = ['stop', 0];
  let firstAt: number | undefined;
  for await (const chunk of chunks(response.body)) {
    if (chunk.error !== undefined) throw new Error(chunk.error.message);
    const [choice] = chunk.choices ?? [];
    if (choice !== undefined) {
      if (Object.keys(choice.delta).some((name) => name !== 'role')) firstAt ??= performance.now();
      onDelta(choice.delta);
      reason = choice.finish_reason ?? reason;
    }
    tokens = chunk.usage?.completion_tokens ?? tokens;
  }
  return { reason, tokens, milliseconds: performance.now() - (firstAt ?? performance.now()) };
}

/** The JSON of each event; comments and the end are passed over. */
async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Chunk> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      if (!event.startsWith('data: ') || event === 'data: [DONE]') continue;
      yield JSON.parse(event.slice('data: '.length));
    }
  }
}
