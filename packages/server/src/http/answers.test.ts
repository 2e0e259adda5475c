import { beforeAll, describe, expect, it } from 'vitest';
import { answerPointer, publishedSchemas, Schemas } from '../testing/schemas.ts';
import { eventsOf, type Served, serve } from '../testing/serve.ts';

// Every answer, and every chunk of a stream, against what this server says of itself at /openapi.json, which allows
// no field that it does not name, and against what OpenAI and Anthropic have published.

let served: Served;
let own: Schemas;
const openAi = publishedSchemas('openai');
const anthropic = publishedSchemas('anthropic');
beforeAll(async () => {
  served = await serve({ apiKeys: ['key'], aliases: ['other'] });
  const document = await (await fetch(`${served.url}/openapi.json`)).json();
  own = new Schemas('own', document);
});

const headers = { 'content-type': 'application/json', authorization: 'Bearer key' };
const post = (path: string, body: object, more: Record<string, string> = {}) =>
  served.post(path, body, { body: JSON.stringify(body), headers: { ...headers, ...more } });

interface Protocol {
  readonly published: Schemas;
  readonly whole: string;
  readonly event: string;
  readonly error: string;
}
const chat: Protocol = {
  published: openAi,
  whole: 'CreateChatCompletionResponse',
  event: 'CreateChatCompletionStreamResponse',
  error: 'ErrorResponse',
};
const protocols: Record<string, Protocol> = {
  '/v1/chat/completions': chat,
  '/v1/completions': {
    ...chat,
    whole: 'CreateCompletionResponse',
    event: 'CreateCompletionResponse',
  },
  '/v1/responses': { ...chat, whole: 'Response', event: 'ResponseStreamEvent' },
  '/v1/messages': {
    published: anthropic,
    whole: 'Message',
    event: 'RawMessageStreamEvent',
    error: 'ErrorResponse',
  },
};

const isError = (event: unknown) =>
  typeof event === 'object' && event !== null && 'error' in event && !('sequence_number' in event);

/** What is wrong with an answer or a stream, in both descriptions. */
async function problemsOf(path: string, response: Response): Promise<string[]> {
  const protocol = protocols[path];
  if (protocol === undefined) throw new Error(`no protocol at ${path}`);
  const check = (pointer: string, name: string, value: unknown) => [
    ...own.problems(pointer, value),
    ...protocol.published.problems(`/$defs/${name}`, value),
  ];
  if (!response.ok)
    return check(answerPointer(path, { status: 'default' }), protocol.error, await response.json());
  if (!response.headers.get('content-type')?.startsWith('text/event-stream'))
    return check(answerPointer(path), protocol.whole, await response.json());
  const pointer = answerPointer(path, { type: 'text/event-stream' });
  return (await eventsOf(response)).flatMap((event) => {
    if (event === '[DONE]') return [];
    // The types of Anthropic's SDK leave out what it reads without handing it on.
    if (JSON.stringify(event) === '{"type":"ping"}') return own.problems(pointer, event);
    const name = isError(event) ? protocol.error : protocol.event;
    // Of text completions the published description has no chunks: a choice's end is null until it comes.
    if (path === '/v1/completions' && !isError(event))
      return check(pointer, name, endedChunk(event));
    return check(pointer, name, event);
  });
}

function endedChunk(event: unknown): unknown {
  const chunk = event as { choices: { finish_reason: string | null }[]; usage?: object | null };
  const choices = chunk.choices.map((choice) => ({
    ...choice,
    finish_reason: choice.finish_reason ?? 'stop',
  }));
  const { usage, ...rest } = chunk;
  return { ...rest, choices, ...(usage && { usage }) };
}

const user = (content: string) => [{ role: 'user', content }];
const functionOf = { name: 'get_weather', parameters: { type: 'object', properties: {} } };
const tools = [{ type: 'function', function: functionOf }];
const calls =
  '<think>hm</think>so<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city":"Rome"}<｜tool▁call▁end｜>' +
  '<｜tool▁calls▁end｜>';
const thinks = { chat_template_kwargs: { thinking: true } };

const requests: [string, string, object][] = [
  ['text', '/v1/chat/completions', { messages: user('say:Grüße') }],
  [
    'choices and log-probabilities',
    '/v1/chat/completions',
    { messages: user('say:ab'), n: 2, logprobs: true, top_logprobs: 3 },
  ],
  [
    'thoughts and calls',
    '/v1/chat/completions',
    { messages: user(`say:${calls}`), tools, ...thinks },
  ],
  [
    'an end at a stop string',
    '/v1/chat/completions',
    { messages: user('say:one two'), stop: ['two'] },
  ],
  ['an end at the limit', '/v1/chat/completions', { messages: user('say:one two'), max_tokens: 2 }],
  [
    'usage',
    '/v1/chat/completions',
    { messages: user('say:a'), stream_options: { include_usage: true } },
  ],
  [
    'usage all along',
    '/v1/chat/completions',
    {
      messages: user('say:a'),
      stream_options: { include_usage: true, continuous_usage_stats: true },
    },
  ],
  ['text', '/v1/completions', { prompt: 'the ca', max_tokens: 4 }],
  [
    'prompts, echo and usage',
    '/v1/completions',
    {
      prompt: ['a', 'b'],
      n: 2,
      echo: true,
      max_tokens: 3,
      stream_options: { include_usage: true },
    },
  ],
  ['log-probabilities', '/v1/completions', { prompt: 'the ca', max_tokens: 4, logprobs: 2 }],
  ['text', '/v1/responses', { input: 'say:hello' }],
  [
    'an end at the limit',
    '/v1/responses',
    { input: 'say:hello', max_output_tokens: 2, instructions: 'Be brief.' },
  ],
  [
    'thoughts and calls',
    '/v1/responses',
    {
      input: `say:${calls}`,
      tools: [{ type: 'function', ...functionOf }],
      reasoning: { effort: 'high' },
    },
  ],
  ['text', '/v1/messages', { messages: user('say:hello'), max_tokens: 50 }],
  ['an end at the limit', '/v1/messages', { messages: user('say:hello'), max_tokens: 2 }],
  [
    'an end at a stop string',
    '/v1/messages',
    { messages: user('say:one two'), max_tokens: 50, stop_sequences: ['two'] },
  ],
  [
    'thoughts and calls',
    '/v1/messages',
    {
      messages: user(`say:${calls}`),
      max_tokens: 200,
      thinking: { type: 'enabled', budget_tokens: 1024 },
      tools: [{ name: 'get_weather', input_schema: { type: 'object' } }],
    },
  ],
];

describe.each([false, true])('answers, stream %s', (stream) => {
  it.each(requests)('%s: %s', async (_name, path, body) => {
    const all = { model: 'bytes', temperature: 0, ...body, stream };
    // Only streams take options of streams.
    const response = await post(path, stream ? all : { ...all, stream_options: undefined });
    expect(response.status).toBe(200);
    expect(await problemsOf(path, response)).toEqual([]);
  });

  it.each(Object.keys(protocols))('a failure at %s', async (path) => {
    const long = 'say:'.padEnd(2000, 'x');
    const asks: Record<string, object> = {
      '/v1/completions': { prompt: long, max_tokens: 2000, ignore_eos: true },
      '/v1/responses': { input: long },
    };
    const ask = asks[path] ?? { messages: user(long), max_tokens: 3000 };
    served.runner.stepMs = 1;
    const { outputTokens } = served.engine.stats();
    const running = post(path, { model: 'bytes', ...ask, stream });
    await expect.poll(() => served.engine.stats().outputTokens).toBeGreaterThan(outputTokens);
    if (stream) await running;
    served.runner.failures = 1;
    const response = await running;
    served.runner.stepMs = 0;
    expect(response.status).toBe(stream ? 200 : 500);
    const copy = response.clone();
    expect(await problemsOf(path, response)).toEqual([]);
    expect(await copy.text()).toMatch(/"error":\{|"response.failed"/);
  });
});

describe('errors', () => {
  it.each(Object.keys(protocols))('at %s', async (path) => {
    const wrong: [object, Record<string, string>][] = [
      [{}, {}],
      [{ model: 'none', messages: user('x'), input: 'x', prompt: 'x', max_tokens: 1 }, {}],
      [{ model: 'bytes' }, { authorization: 'Bearer wrong' }],
      [
        {
          model: 'bytes',
          messages: user('x'),
          input: 'x',
          prompt: 'x',
          max_tokens: 99,
          temperature: 'x',
        },
        {},
      ],
    ];
    for (const [body, more] of wrong) {
      const response = await post(path, body, more);
      expect(response.status).toBeGreaterThanOrEqual(400);
      expect(await problemsOf(path, response)).toEqual([]);
    }
  });
});

it('models, tokens and health', async () => {
  const get = async (path: string) => (await fetch(served.url + path, { headers })).json();
  const method = 'get';
  const list = await get('/v1/models');
  expect(own.problems(answerPointer('/v1/models', { method }), list)).toEqual([]);
  expect(openAi.problems('/$defs/ListModelsResponse', list)).toEqual([]);
  const one = await get('/v1/models/other');
  expect(own.problems(answerPointer('/v1/models/{id}', { method }), one)).toEqual([]);
  expect(openAi.problems('/$defs/Model', one)).toEqual([]);
  for (const path of ['/health/live', '/health/ready'])
    expect(own.problems(answerPointer(path, { method }), await get(path))).toEqual([]);
  const bodies: [string, object][] = [
    ['/tokenize', { prompt: 'é' }],
    ['/tokenize', { prompt: 'é', return_token_strs: true }],
    ['/detokenize', { tokens: [65, 66] }],
  ];
  for (const [path, body] of bodies)
    expect(own.problems(answerPointer(path), await (await post(path, body)).json())).toEqual([]);
  const counted = await (
    await post('/v1/messages/count_tokens', { model: 'bytes', messages: user('x') })
  ).json();
  expect(own.problems(answerPointer('/v1/messages/count_tokens'), counted)).toEqual([]);
  expect(anthropic.problems('/$defs/MessageTokensCount', counted)).toEqual([]);
});

it('finds what is wrong, so that nothing above passes by itself', async () => {
  const path = '/v1/chat/completions';
  const response = await post(path, { model: 'bytes', messages: user('say:a'), temperature: 0 });
  const answer = await response.json();
  const wrong = [
    { ...answer, more: 1 },
    { ...answer, object: 'x' },
    { ...answer, choices: [{ ...answer.choices[0], finish_reason: 'done' }] },
  ];
  for (const value of wrong) expect(own.problems(answerPointer(path), value)).not.toEqual([]);
  for (const value of wrong.slice(1))
    expect(openAi.problems('/$defs/CreateChatCompletionResponse', value)).not.toEqual([]);
});
