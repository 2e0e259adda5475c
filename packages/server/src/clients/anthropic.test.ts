import Anthropic, { AuthenticationError, BadRequestError, NotFoundError } from '@anthropic-ai/sdk';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';

const weather = {
  name: 'get_weather',
  description: 'The weather.',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } } },
};
const call =
  '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Bonn"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>';

describe('/v1/messages with the Anthropic client', () => {
  let served: Served;
  let client: Anthropic;
  const base = { model: 'bytes', temperature: 0, max_tokens: 100 };
  const user = (content: string) => [{ role: 'user' as const, content }];
  beforeAll(async () => {
    served = await serve({ apiKeys: ['key'] });
    client = new Anthropic({ baseURL: served.url, apiKey: 'key', maxRetries: 0 });
  });
  expectIdleAfterEach(() => served);

  it('answers whole', async () => {
    const message = await client.messages.create({
      ...base,
      system: 'Be kind.',
      messages: user('say:<think>why</think>Because.'),
    });
    expect(message).toMatchObject({
      type: 'message',
      role: 'assistant',
      stop_reason: 'end_turn',
      content: [
        { type: 'thinking', thinking: 'why' },
        { type: 'text', text: 'Because.' },
      ],
    });
    const cut = await client.messages.create({
      ...base,
      max_tokens: 2,
      messages: user('say:Hello'),
    });
    expect(cut.stop_reason).toBe('max_tokens');
    const stopped = await client.messages.create({
      ...base,
      stop_sequences: ['lo'],
      messages: user('say:Hello'),
    });
    expect(stopped).toMatchObject({
      stop_reason: 'stop_sequence',
      stop_sequence: 'lo',
      content: [{ text: 'Hel' }],
    });
  });

  it('streams a block for each change of kind', async () => {
    const stream = client.messages.stream({
      ...base,
      messages: user('say:<think>why</think>Because.'),
    });
    const types: string[] = [];
    stream.on('streamEvent', ({ type }) => {
      if (types.at(-1) !== type) types.push(type);
    });
    const message = await stream.finalMessage();
    expect(message.content).toMatchObject([
      { type: 'thinking', thinking: 'why' },
      { type: 'text', text: 'Because.' },
    ]);
    expect(message.usage.output_tokens).toBe(14);
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  it('uses tools, and takes their results', async () => {
    const ask = { ...base, tools: [weather], messages: user(`say:Hm.${call}`) };
    for (const message of [
      await client.messages.create(ask),
      await client.messages.stream(ask).finalMessage(),
    ]) {
      expect(message.stop_reason).toBe('tool_use');
      expect(message.content).toMatchObject([
        { type: 'text', text: 'Hm.' },
        { type: 'tool_use', name: 'get_weather', input: { city: 'Bonn' } },
      ]);
    }
    const answer = await client.messages.create({
      ...base,
      tools: [weather],
      messages: [
        { role: 'user', content: 'weather?' },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: 't1', name: 'get_weather', input: { city: 'Bonn' } }],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: 'rain' }] },
            { type: 'text', text: 'say:It rains.' },
          ],
        },
      ],
    });
    expect(answer.content).toMatchObject([{ text: 'It rains.' }]);
  });

  it('counts tokens, and throws the errors it knows', async () => {
    const { input_tokens } = await client.messages.countTokens({
      model: 'bytes',
      messages: user('hi'),
    });
    expect(input_tokens).toBe(5);
    const create = (more: object) =>
      client.messages.create({ ...base, messages: user('x'), ...more });
    await expect(create({ model: 'none' })).rejects.toThrow(NotFoundError);
    await expect(create({ max_tokens: 0 })).rejects.toThrow(BadRequestError);
    const image = [{ role: 'user', content: [{ type: 'image', source: {} }] }];
    await expect(create({ messages: image })).rejects.toThrow(/messages\[0\]/);
    const stranger = new Anthropic({ baseURL: served.url, apiKey: 'other', maxRetries: 0 });
    await expect(stranger.messages.create({ ...base, messages: user('x') })).rejects.toThrow(
      AuthenticationError,
    );
  });

  it('throws what a stream says', async () => {
    served.runner.stepMs = 2;
    const stream = client.messages.stream({ ...base, messages: user(`say:${'x'.repeat(500)}`) });
    stream.on('text', () => {
      served.runner.failures = 1;
    });
    await expect(stream.finalMessage()).rejects.toThrow(/error/);
    served.runner.failures = 0;
    served.runner.stepMs = 0;
  });
});
