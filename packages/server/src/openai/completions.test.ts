import { beforeAll, describe, expect, it } from 'vitest';
import { eventsOf, expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';

describe('/v1/completions', () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve();
  });
  expectIdleAfterEach(() => served);
  const post = (more: object) =>
    served.post('/v1/completions', { model: 'bytes', temperature: 0, max_tokens: 6, ...more });
  const tokens = (text: string) => [...Buffer.from(text)];

  it('continues text, tokens and lists of them', async () => {
    const texts = async (prompt: unknown, more: object = {}) => {
      const { choices } = await (await post({ prompt, ...more })).json();
      return choices.map(({ text }: { text: string }) => text);
    };
    const [cat = ''] = await texts('the ca');
    expect(cat).toHaveLength(6);
    expect(await texts(['the ca', 'the do'])).toHaveLength(2);
    expect((await texts(['the ca', 'the do']))[0]).toBe(cat);
    expect(await texts(tokens('the ca'), { add_special_tokens: false })).toEqual([cat]);
    expect(await texts([tokens('the ca'), tokens('x')])).toHaveLength(2);
    expect(await texts('the ca', { echo: true })).toEqual([`the ca${cat}`]);
    expect(await texts(['a', 'b'], { n: 2 })).toHaveLength(4);
  });

  it('streams choices by their index, with the same text', async () => {
    const body = {
      prompt: ['the ca', 'the do'],
      n: 2,
      echo: true,
      stream_options: { include_usage: true },
    };
    const whole = await (await post(body)).json();
    const events = await eventsOf(await post({ ...body, stream: true }));
    expect(events.at(-1)).toBe('[DONE]');
    const chunks = events.slice(0, -1) as {
      object: string;
      choices: { index: number; text: string; finish_reason: string | null }[];
      usage: object | null;
    }[];
    const streamed = ['', '', '', ''];
    for (const { choices, object } of chunks) {
      expect(object).toBe('text_completion');
      for (const { index, text } of choices) streamed[index] += text;
    }
    expect(streamed).toEqual(whole.choices.map(({ text }: { text: string }) => text));
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 24, prompt_tokens: 14 });
    expect(
      chunks.flatMap(({ choices }) => choices.filter((c) => c.finish_reason === 'length')),
    ).toHaveLength(4);
  });

  it('reports log-probabilities as parallel lists', async () => {
    const { choices } = await (await post({ prompt: 'the ca', logprobs: 2, max_tokens: 3 })).json();
    const { text_offset, token_logprobs, tokens: list, top_logprobs } = choices[0].logprobs;
    expect(list.join('')).toBe(choices[0].text);
    expect(token_logprobs).toHaveLength(3);
    expect(Object.keys(top_logprobs[0])).toHaveLength(2);
    expect(text_offset).toEqual([0, 1, 2]);
  });

  it.each<[string, object]>([
    ['prompt', {}],
    ['prompt', { prompt: [] }],
    ['prompt', { prompt: [[]] }],
    ['prompt', { prompt: [1, 'a'] }],
    ['prompt', { prompt: [99999] }],
    ['prompt', { prompt: [-1] }],
    ['prompt', { prompt: '', add_special_tokens: false }],
    ['suffix', { prompt: 'a', suffix: 'b' }],
    ['best_of', { prompt: 'a', best_of: 3 }],
    ['logprobs', { prompt: 'a', echo: true, logprobs: 1 }],
  ])('refuses a wrong %s', async (param, body) => {
    const response = await post(body);
    expect(response.status).toBe(400);
    expect((await response.json()).error.param).toMatch(new RegExp(`^${param}`));
  });
});

describe('/tokenize and /detokenize', () => {
  it('go both ways', async () => {
    const served = await serve();
    const tokenize = async (body: object) => (await served.post('/tokenize', body)).json();
    expect(await tokenize({ prompt: 'é', return_token_strs: true })).toMatchObject({
      count: 3,
      max_model_len: 4096,
      tokens: [256, 0xc3, 0xa9],
    });
    const { tokens } = await tokenize({ messages: [{ role: 'user', content: 'hi' }] });
    const { prompt } = await (await served.post('/detokenize', { tokens })).json();
    expect(prompt).toBe('<bos><｜User｜>hi<｜Assistant｜>');
    expect((await served.post('/tokenize', {})).status).toBe(400);
    expect((await served.post('/detokenize', { tokens: ['x'] })).status).toBe(400);
    expect((await served.post('/detokenize', { tokens: [1e9] })).status).toBe(200);
  });
});
