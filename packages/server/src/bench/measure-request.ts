/** What came of one request. Times are in milliseconds. */
export interface Measured {
  readonly error?: string;
  /** Until the first text. */
  readonly firstToken: number;
  /** Between pieces of text; a piece may have several tokens. */
  readonly gaps: readonly number[];
  readonly endToEnd: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
}

export interface Target {
  readonly url: string;
  readonly model: string;
  readonly apiKey: string | undefined;
}

interface Chunk {
  readonly error?: { readonly message: string };
  readonly choices?: readonly { readonly text: string }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens: number };
  } | null;
}

/** Asks for so many tokens behind a prompt, and takes the times. Never rejected. */
export async function measureRequest(
  { apiKey, model, url }: Target,
  prompt: readonly number[],
  outputTokens: number,
  signal: AbortSignal,
): Promise<Measured> {
  const begin = performance.now();
  const times: number[] = [];
  let usage: Chunk['usage'];
  let error: string | undefined;
  try {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify({
        model,
        prompt,
        max_tokens: outputTokens,
        ignore_eos: true,
        temperature: 0,
        stream: true,
        stream_options: { include_usage: true },
      }),
      signal,
    });
    if (!response.ok || response.body === null) error = `HTTP ${response.status}`;
    else
      for await (const chunk of chunksOf(response.body)) {
        error ??= chunk.error?.message;
        if (chunk.choices?.[0]?.text) times.push(performance.now());
        usage = chunk.usage ?? usage;
      }
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause);
  }
  const end = performance.now();
  return {
    ...(error !== undefined && { error }),
    firstToken: (times[0] ?? end) - begin,
    gaps: times.slice(1).map((time, i) => time - (times[i] ?? time)),
    endToEnd: end - begin,
    promptTokens: usage?.prompt_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
    outputTokens: usage?.completion_tokens ?? 0,
  };
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Chunk> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (text + decoder.decode(value, { stream: true })).split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      if (event.startsWith('data: {')) yield JSON.parse(event.slice('data: '.length));
    }
  }
}
