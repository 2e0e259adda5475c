import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine } from './create-engine.ts';
import { ServerOptionError } from './errors.ts';
import type { TextEngine } from './generate/text-engine.ts';
import { Server } from './server.ts';
import { eventsOf } from './testing/serve.ts';

const logger = pino({ level: 'silent' });

describe('createEngine', () => {
  it('does not promise what operations of a device do not keep', async () => {
    const options = { engine: { deterministic: true }, operations: { module: 'flash-mla/models' } };
    const error = await createEngine('@flash-mla/tales', options).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(ServerOptionError);
    expect(String(error)).toMatch(/--dtype f32/);
  });

  it('says that a cache does not fit, as loading a model does', async () => {
    const error = await createEngine('@flash-mla/tales', { maxTokens: 60_000_000 }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ name: 'ModelOptionError' });
    expect(String(error)).toMatch(/^ModelOptionError: maxTokens: /);
  });
});

describe('the demo model in its thread', () => {
  let engine: TextEngine;
  let server: Server;
  let url: string;
  beforeAll(async () => {
    engine = await createEngine('@flash-mla/tales');
    server = new Server(engine, { port: 0, logger });
    url = await server.listen();
  });
  afterAll(() => server.close(0));
  const post = (body: object) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tales', temperature: 0, max_tokens: 80, ...body }),
    });
  const user = (content: string) => ({ messages: [{ role: 'user', content }] });

  it('thinks and adds', async () => {
    const { choices } = await (await post(user('What is 12 + 30?'))).json();
    expect(choices[0].message.content).toContain('42');
    expect(choices[0].message.reasoning_content.length).toBeGreaterThan(0);
    expect(choices[0].finish_reason).toBe('stop');
  });

  it('serves many at once, with the answers that each gets alone', async () => {
    const asks = ['What is 12 + 30?', 'What is 7 + 5?', 'Tell me a tale.', 'What is 40 + 2?'];
    const alone: string[] = [];
    for (const ask of asks)
      alone.push((await (await post(user(ask))).json()).choices[0].message.content);
    const together = await Promise.all(
      asks.map(async (ask) => {
        const events = await eventsOf(await post({ ...user(ask), stream: true }));
        const chunks = events.slice(0, -1) as { choices: { delta: { content?: string } }[] }[];
        return chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('');
      }),
    );
    expect(together).toEqual(alone);
  });

  it('is held to a schema', async () => {
    const schema = {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 12 },
        age: { type: 'integer', maximum: 99, minimum: 1 },
      },
      required: ['name', 'age'],
    };
    const format = { type: 'json_schema', json_schema: { name: 'hero', schema } };
    const { choices } = await (
      await post({ ...user('Tell me a tale.'), response_format: format })
    ).json();
    expect(JSON.parse(choices[0].message.content)).toEqual({
      name: expect.any(String),
      age: expect.any(Number),
    });
  });

  it('calls a tool that it has to call', async () => {
    const tools = [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather in a city.',
          parameters: {
            type: 'object',
            properties: { city: { type: 'string' } },
            required: ['city'],
          },
        },
      },
    ];
    const ask = { ...user('Is it cloudy in Lima?'), tools };
    for (const choice of ['auto', 'required']) {
      const { choices } = await (await post({ ...ask, tool_choice: choice })).json();
      expect(choices[0].message.tool_calls?.[0]?.function.name).toBe('get_weather');
      expect(JSON.parse(choices[0].message.tool_calls[0].function.arguments)).toHaveProperty(
        'city',
      );
    }
  });

  it('reports refusals and stays alive', async () => {
    expect(
      (
        await post({
          ...user('x'),
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'x', schema: { type: 'no' } },
          },
        })
      ).status,
    ).toBe(400);
    expect((await post(user('long '.repeat(5000)))).status).toBe(400);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    await expect.poll(() => engine.stats()).toMatchObject({ running: 0, waiting: 0 });
  });
});

describe('createEngine', () => {
  it('says what is wrong', async () => {
    await expect(createEngine('/nowhere')).rejects.toThrow(/nowhere/);
    await expect(createEngine('@flash-mla/tales', { maxRunning: 0 })).rejects.toThrow(/maxRunning/);
  });

  it('ends requests with an error when its thread dies', async () => {
    const engine = await createEngine('@flash-mla/tales');
    const server = new Server(engine, { port: 0, logger });
    const url = await server.listen();
    const stream = fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'tales',
        prompt: 'Once',
        max_tokens: 2000,
        stream: true,
        ignore_eos: true,
      }),
    });
    await expect.poll(() => engine.stats().outputTokens, { timeout: 10_000 }).toBeGreaterThan(2);
    await engine.close();
    const events = await eventsOf(await stream);
    expect(events.at(-2)).toMatchObject({ error: { message: expect.any(String) } });
    await server.close(0);
  });
});
