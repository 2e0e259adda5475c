import OpenAI, {
  APIConnectionTimeoutError,
  APIUserAbortError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { grammarVocabulary } from '../grammar/vocabulary.ts';
import { WorkerGrammars } from '../grammar/worker-grammars.ts';
import { byteModel } from '../testing/byte-model.ts';
import { expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';

const grammars = new WorkerGrammars(grammarVocabulary(byteModel));
afterAll(() => grammars.close());
const apiKey = 'test-key';
const user = (content: string) => [{ role: 'user' as const, content }];
const base = { model: 'bytes', temperature: 0 };
const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather.',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
};
const weatherCall =
  '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Bonn"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>';

describe('openai', () => {
  let served: Served;
  let client: OpenAI;
  beforeAll(async () => {
    served = await serve({ apiKeys: [apiKey] }, {}, grammars);
    client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey });
  });
  expectIdleAfterEach(() => served);

  it('completes, whole and streamed', async () => {
    const whole = await client.chat.completions.create({ ...base, messages: user('say:Hello!') });
    expect(whole.choices[0]?.message.content).toBe('Hello!');
    expect(whole._request_id).toMatch(/[\w-]{36}/);
    const stream = await client.chat.completions.create({
      ...base,
      messages: user('say:Hello!'),
      stream: true,
      stream_options: { include_usage: true },
    });
    let [text, tokens] = ['', 0];
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      tokens = chunk.usage?.completion_tokens ?? tokens;
    }
    expect([text, tokens]).toEqual(['Hello!', 7]);
    const helper = client.chat.completions.stream({ ...base, messages: user('say:Hello!') });
    expect(await helper.finalContent()).toBe('Hello!');
    const old = await client.completions.create({
      model: 'bytes',
      prompt: 'the ca',
      max_tokens: 3,
    });
    expect(old.choices[0]?.text).toHaveLength(3);
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual(['bytes']);
  });

  it('runs tools', async () => {
    const cities: unknown[] = [];
    const runner = client.chat.completions.runTools({
      ...base,
      messages: user(`say:${weatherCall}`),
      tools: [
        {
          type: 'function',
          function: {
            ...weather.function,
            parse: (text: string): { city: string } => JSON.parse(text),
            function: (input: { city: string }) => {
              cities.push(input.city);
              return 'say:It rains.';
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe('It rains.');
    expect(cities).toEqual(['Bonn']);
    const stream = client.chat.completions.stream({
      ...base,
      messages: user(`say:${weatherCall}`),
      tools: [weather],
    });
    const { choices } = await stream.finalChatCompletion();
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        tool_calls: [{ function: { name: 'get_weather', arguments: '{"city": "Bonn"}' } }],
      },
    });
  });

  it('parses structured output', async () => {
    const Answer = z.object({ ok: z.boolean() });
    const { choices } = await client.chat.completions.parse({
      ...base,
      messages: user('say:well'),
      response_format: zodResponseFormat(Answer, 'answer'),
    });
    expect(choices[0]?.message.parsed).toEqual({ ok: expect.any(Boolean) });
  });

  it('aborts', async () => {
    served.runner.stepMs = 2;
    const stream = await client.chat.completions.create({
      ...base,
      messages: user(`say:${'x'.repeat(900)}`),
      stream: true,
    });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 5) break;
    await served.idle();
    const abort = new AbortController();
    const whole = client.chat.completions.create(
      { ...base, messages: user(`say:${'x'.repeat(900)}`) },
      { signal: abort.signal },
    );
    setTimeout(() => abort.abort(), 20);
    await expect(whole).rejects.toThrow(APIUserAbortError);
    await expect(
      client.chat.completions.create(
        { ...base, messages: user(`say:${'x'.repeat(900)}`) },
        { timeout: 30, maxRetries: 0 },
      ),
    ).rejects.toThrow(APIConnectionTimeoutError);
    served.runner.stepMs = 0;
    expect(served.engine.stats().finished.cancelled).toBeGreaterThan(0);
  });

  it('throws the errors it knows', async () => {
    const create = (more: object) =>
      client.chat.completions.create({ ...base, messages: user('x'), ...more });
    await expect(create({ model: 'none' })).rejects.toThrow(NotFoundError);
    await expect(create({ n: 0 })).rejects.toThrow(BadRequestError);
    const error = await create({ n: 0 }).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      status: 400,
      param: 'n',
      code: 'invalid_value',
      type: 'invalid_request_error',
    });
    const stranger = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'other', maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toMatchObject({
      status: 401,
      code: 'invalid_api_key',
    });
  });

  it('throws what a stream says', async () => {
    served.runner.stepMs = 2;
    const stream = await client.chat.completions.create({
      ...base,
      messages: user(`say:${'x'.repeat(900)}`),
      stream: true,
    });
    const read = async () => {
      for await (const _ of stream) served.runner.failures = 1;
    };
    await expect(read()).rejects.toMatchObject({ code: 'internal_error' });
    served.runner.stepMs = 0;
    served.runner.failures = 0;
  });

  it('tries again when the queue was full', async () => {
    const full = await serve({}, { maxRunning: 1, maxQueuedRequests: 1 });
    full.runner.stepMs = 3;
    const ask = (maxRetries: number) =>
      new OpenAI({ baseURL: `${full.url}/v1`, apiKey, maxRetries }).chat.completions.create({
        ...base,
        messages: user('say:abc'),
      });
    const impatient = await Promise.allSettled(Array.from({ length: 6 }, () => ask(0)));
    const reasons = impatient.flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    expect(reasons.length).toBeGreaterThan(0);
    for (const reason of reasons) expect(reason).toBeInstanceOf(RateLimitError);
    const patient = await Promise.all(Array.from({ length: 3 }, () => ask(5)));
    expect(patient.map(({ choices }) => choices[0]?.message.content)).toEqual([
      'abc',
      'abc',
      'abc',
    ]);
  });
});
