import { beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';

const base = { model: 'bytes', temperature: 0 };
const ask = (text: string, more: object = {}) => ({
  ...base,
  messages: [{ role: 'user', content: text }],
  ...more,
});
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
};
const call = (name: string, json: string) =>
  `<｜tool▁call▁begin｜>${name}<｜tool▁sep｜>${json}<｜tool▁call▁end｜>`;
const calls = (...list: string[]) => `<｜tool▁calls▁begin｜>${list.join('')}<｜tool▁calls▁end｜>`;

describe.each([true, false])('/v1/chat/completions, overlap %s', (overlap) => {
  let it_: Served;
  beforeAll(async () => {
    it_ = await serve({}, { overlap });
  });
  expectIdleAfterEach(() => it_);
  const post = (body: object) => it_.post('/v1/chat/completions', body);

  it('answers whole', async () => {
    const response = await post(ask('say:Grüße, 世界!'));
    expect(response.status).toBe(200);
    expect(response.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
    expect(await response.json()).toMatchObject({
      object: 'chat.completion',
      model: 'bytes',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Grüße, 世界!', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { completion_tokens: 17, prompt_tokens_details: { cached_tokens: 0 } },
    });
  });

  it('streams a role, deltas, an end, usage and [DONE]', async () => {
    const response = await post(
      ask('say:Grüße, 世界!', { stream: true, stream_options: { include_usage: true } }),
    );
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    const events = await eventsOf(response);
    expect(events.at(-1)).toBe('[DONE]');
    const chunks = events.slice(0, -1) as Record<string, unknown>[];
    expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(
      1,
    );
    expect(chunks[0]).toMatchObject({
      object: 'chat.completion.chunk',
      usage: null,
      choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
    });
    expect(chunks.at(-2)).toMatchObject({
      choices: [{ delta: {}, finish_reason: 'stop' }],
      usage: null,
    });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 17 } });
    const deltas = chunks.slice(1, -2) as { choices: { delta: { content: string } }[] }[];
    expect(deltas.map(({ choices }) => choices[0]?.delta.content).join('')).toBe('Grüße, 世界!');
    for (const { choices } of deltas) expect(choices[0]?.delta.content).not.toContain('\ufffd');
  });

  it('ends at max_tokens and at stop strings, which it does not give out', async () => {
    const finish = async (more: object) => {
      const whole = await (await post(ask('say:one two three', more))).json();
      const events = await eventsOf(
        await post(ask('say:one two three', { ...more, stream: true })),
      );
      const chunks = events.slice(0, -1) as {
        choices: { delta: { content?: string }; finish_reason: string }[];
      }[];
      const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
      const [choice] = whole.choices;
      expect(text).toBe(choice.message.content);
      expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe(choice.finish_reason);
      return [choice.message.content, choice.finish_reason];
    };
    expect(await finish({ max_tokens: 5 })).toEqual(['one t', 'length']);
    expect(await finish({ max_completion_tokens: 3, max_tokens: 9 })).toEqual(['one', 'length']);
    expect(await finish({ stop: 'two' })).toEqual(['one ', 'stop']);
    expect(await finish({ stop: ['three', 'e t'] })).toEqual(['on', 'stop']);
    expect(await finish({ stop: ['two'], include_stop_str_in_output: true })).toEqual([
      'one two',
      'stop',
    ]);
    expect(await finish({ stop: ['threes'] })).toEqual(['one two three', 'stop']);
    expect(await finish({ stop_token_ids: [119] })).toEqual(['one t', 'stop']);
  });

  it('gives n choices, which share the prompt', async () => {
    const body = ask('the cat', { n: 3, seed: 1, temperature: 1, max_tokens: 12 });
    const { choices, usage } = await (await post(body)).json();
    expect(choices.map(({ index }: { index: number }) => index)).toEqual([0, 1, 2]);
    const texts = choices.map(({ message }: { message: { content: string } }) => message.content);
    expect(new Set(texts).size).toBeGreaterThan(1);
    expect(usage.completion_tokens).toBeLessThanOrEqual(36);
    const again = await (await post(body)).json();
    expect(
      again.choices.map(({ message }: { message: { content: string } }) => message.content),
    ).toEqual(texts);
    const events = await eventsOf(await post({ ...body, stream: true }));
    const streamed = ['', '', ''];
    for (const event of events.slice(0, -1) as {
      choices: { index: number; delta: { content?: string } }[];
    }[])
      for (const { index, delta } of event.choices) streamed[index] += delta.content ?? '';
    expect(streamed).toEqual(texts);
  });

  it('reports log-probabilities', async () => {
    const { choices } = await (
      await post(ask('say:é!', { logprobs: true, top_logprobs: 2 }))
    ).json();
    const { content } = choices[0].logprobs;
    expect(content.map(({ bytes }: { bytes: number[] }) => bytes)).toEqual([
      [0xc3],
      [0xa9],
      [33],
      [...Buffer.from('<eos>')],
    ]);
    expect(content[2].token).toBe('!');
    expect(content[2].top_logprobs).toHaveLength(2);
    expect(content[2].logprob).toBeLessThanOrEqual(0);
    const events = await eventsOf(await post(ask('say:é!', { logprobs: true, stream: true })));
    const streamed = (
      events.slice(0, -1) as { choices: { logprobs: { content: object[] } | null }[] }[]
    ).flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
    expect(streamed).toHaveLength(4);
  });

  it('keeps thoughts apart', async () => {
    const body = ask('say:<think>2+2</think>\n\n4');
    const { choices, usage } = await (await post(body)).json();
    expect(choices[0].message).toMatchObject({
      content: '4',
      reasoning: '2+2',
      reasoning_content: '2+2',
    });
    expect(usage.completion_tokens_details.reasoning_tokens).toBe(4);
    const hidden = await (await post({ ...body, include_reasoning: false })).json();
    expect(hidden.choices[0].message).toEqual({ role: 'assistant', content: '4', refusal: null });
    const inside = ask('say:2+2</think>4', { chat_template_kwargs: { thinking: true } });
    const { choices: other } = await (await post(inside)).json();
    expect(other[0].message).toMatchObject({ content: '4', reasoning: '2+2' });
  });

  it('parses tool calls', async () => {
    const script = `Hm.${calls(call('get_weather', '{"city": "Bonn"}'), call('get_weather', '{"city": "Rom"}'))}`;
    const body = ask(`say:${script}`, { tools: [weather] });
    const { choices } = await (await post(body)).json();
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: 'Hm.',
        tool_calls: [
          { type: 'function', function: { name: 'get_weather', arguments: '{"city": "Bonn"}' } },
          { type: 'function', function: { name: 'get_weather', arguments: '{"city": "Rom"}' } },
        ],
      },
    });
    expect(choices[0].message.tool_calls[0].id).toMatch(/^call_[0-9a-f]{24}$/);
    const single = await (await post({ ...body, parallel_tool_calls: false })).json();
    expect(single.choices[0].message.tool_calls).toHaveLength(1);
    const none = await (await post({ ...body, tool_choice: 'none' })).json();
    expect(none.choices[0].message.tool_calls).toBeUndefined();
    expect(none.choices[0].finish_reason).toBe('stop');

    const events = await eventsOf(await post({ ...body, stream: true }));
    const deltas = events.slice(0, -1) as {
      choices: { delta: { tool_calls?: unknown[] }; finish_reason: string | null }[];
    }[];
    const parts = deltas.flatMap(({ choices }) => choices[0]?.delta.tool_calls ?? []) as {
      index: number;
      id?: string;
      function: { name?: string; arguments: string };
    }[];
    expect(parts.filter(({ id }) => id !== undefined).map(({ index }) => index)).toEqual([0, 1]);
    const json = parts
      .filter(({ index }) => index === 1)
      .map((part) => part.function.arguments)
      .join('');
    expect(JSON.parse(json)).toEqual({ city: 'Rom' });
    expect(deltas.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls');
    const cut = await (await post({ ...body, max_tokens: 20 })).json();
    expect(cut.choices[0].finish_reason).toBe('length');
  });

  it('takes whole conversations: parts, developer, tool results, arguments as an object', async () => {
    const response = await post({
      ...base,
      messages: [
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'Be ' },
            { type: 'text', text: 'brief.' },
          ],
        },
        { role: 'user', content: 'weather?' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: 'call_1',
              type: 'function',
              function: { name: 'get_weather', arguments: { city: 'Bonn' } },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'say:rain' },
      ],
    });
    expect((await response.json()).choices[0].message.content).toBe('rain');
  });

  it('finds prompts again in its cache', async () => {
    const body = ask(`say:short ${'x'.repeat(100)}`, { max_tokens: 1 });
    await (await post(body)).json();
    const { usage } = await (await post(body)).json();
    expect(usage.prompt_tokens_details.cached_tokens).toBeGreaterThanOrEqual(96);
    const salted = await (await post({ ...body, cache_salt: 'mine' })).json();
    expect(salted.usage.prompt_tokens_details.cached_tokens).toBe(0);
  });
});

describe('fields of /v1/chat/completions', () => {
  let it_: Served;
  beforeAll(async () => {
    it_ = await serve();
  });
  expectIdleAfterEach(() => it_);
  const post = (more: object) =>
    it_.post('/v1/chat/completions', ask('say:ok', { max_tokens: 4, ...more }));

  it('without effect are named in a header', async () => {
    const response = await post({ store: true, user: 'u', made_up: 1, n: null, seed: null });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-ignored-params')).toBe('store, user, made_up');
  });

  it.each<[string, object]>([
    ['model', { model: 'gpt-4' }],
    ['messages', { messages: [] }],
    ['messages', { messages: 'hi' }],
    ['messages[0].role', { messages: [{ role: 'king', content: 'x' }] }],
    [
      'messages[0].content',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
    ],
    ['temperature', { temperature: -1 }],
    ['temperature', { temperature: '1' }],
    ['top_p', { top_p: 1.5 }],
    ['n', { n: 0 }],
    ['n', { n: 1000 }],
    ['max_tokens', { max_tokens: 0 }],
    ['stop', { stop: '' }],
    ['stop', { stop: Array.from({ length: 17 }, String) }],
    ['logit_bias', { logit_bias: { 99999: 1 } }],
    ['logit_bias', { logit_bias: { x: 1 } }],
    ['logit_bias.5', { logit_bias: { 5: 101 } }],
    ['top_logprobs', { top_logprobs: 3 }],
    ['top_logprobs', { logprobs: true, top_logprobs: 21 }],
    ['stop_token_ids', { stop_token_ids: [99999] }],
    ['allowed_token_ids', { allowed_token_ids: [] }],
    ['tools[0].function.name', { tools: [{ type: 'function', function: { name: 'a b' } }] }],
    ['tool_choice', { tool_choice: 'required' }],
    [
      'tool_choice',
      { tools: [weather], tool_choice: { type: 'function', function: { name: 'x' } } },
    ],
    ['response_format', { response_format: { type: 'json_object' }, tools: [weather] }],
    ['functions', { functions: [] }],
    ['audio', { audio: {} }],
    ['modalities[0]', { modalities: ['audio'] }],
    ['prompt_logprobs', { prompt_logprobs: 1 }],
  ])('that are wrong are named: %s', async (param, more) => {
    const response = await post(more);
    expect(response.status).toBe(param === 'model' ? 404 : 400);
    const { error } = await response.json();
    expect(error).toMatchObject({ param, message: expect.any(String), code: expect.any(String) });
    expect(error.message).not.toContain('Invalid input: undefined');
  });

  it('change what is generated', async () => {
    const text = async (more: object) =>
      (await (await post(more)).json()).choices[0].message.content;
    expect(await text({})).toBe('ok');
    expect(await text({ logit_bias: { 111: -100 } })).not.toMatch(/^o/);
    expect(await text({ allowed_token_ids: [65] })).toBe('AAAA');
    expect(await text({ min_tokens: 3, max_tokens: 9 })).toMatch(/^ok./);
    expect(await text({ ignore_eos: true, max_tokens: 3 })).toBe('ok');
    expect(await text({ presence_penalty: 2, frequency_penalty: 2, repetition_penalty: 1.1 })).toBe(
      'ok',
    );
    expect(await text({ temperature: 1.5, top_k: 1 })).toBe('ok');
    expect(await text({ temperature: 1.5, min_p: 1 })).toBe('ok');
    expect(await text({ temperature: 1.5, top_p: 0 })).toBe('ok');
  });
});
