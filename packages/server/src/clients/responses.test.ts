import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';

const weather = {
  type: 'function' as const,
  name: 'get_weather',
  strict: null,
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
};
const call =
  '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Bonn"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>';

describe('/v1/responses with the openai client', () => {
  let served: Served;
  let client: OpenAI;
  const base = { model: 'bytes', temperature: 0 };
  beforeAll(async () => {
    served = await serve();
    client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  expectIdleAfterEach(() => served);

  it('answers whole', async () => {
    const response = await client.responses.create({
      ...base,
      input: 'say:Hello!',
      instructions: 'Be kind.',
    });
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      output_text: 'Hello!',
    });
    expect(response.usage).toMatchObject({
      output_tokens: 7,
      input_tokens_details: { cached_tokens: 0 },
    });
    const thoughts = await client.responses.create({
      ...base,
      input: 'say:<think>why</think>Because.',
    });
    expect(thoughts.output.map(({ type }) => type)).toEqual(['reasoning', 'message']);
    const cut = await client.responses.create({
      ...base,
      input: 'say:Hello!',
      max_output_tokens: 3,
    });
    expect(cut).toMatchObject({
      status: 'incomplete',
      output_text: 'Hel',
      incomplete_details: { reason: 'max_output_tokens' },
    });
  });

  it('streams its events in order', async () => {
    const stream = await client.responses.create({
      ...base,
      input: 'say:<think>a</think>b',
      stream: true,
    });
    const types: string[] = [];
    const numbers: number[] = [];
    let text = '';
    for await (const event of stream) {
      if (types.at(-1) !== event.type) types.push(event.type);
      numbers.push(event.sequence_number);
      if (event.type === 'response.output_text.delta') text += event.delta;
      if (event.type === 'response.completed') expect(event.response.output_text ?? 'b').toBe('b');
    }
    expect(text).toBe('b');
    expect(numbers).toEqual(numbers.map((_, i) => i));
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
  });

  it('calls tools, and takes their results', async () => {
    const first = await client.responses.create({
      ...base,
      input: `say:${call}`,
      tools: [weather],
    });
    const [item] = first.output;
    expect(item).toMatchObject({
      type: 'function_call',
      name: 'get_weather',
      arguments: '{"city": "Bonn"}',
    });
    if (item?.type !== 'function_call') throw new Error('unreachable');
    const second = await client.responses.create({
      ...base,
      tools: [weather],
      input: [
        { role: 'user', content: 'weather?' },
        item,
        { type: 'function_call_output', call_id: item.call_id, output: 'say:rain' },
      ],
    });
    expect(second.output_text).toBe('rain');
    const stream = client.responses.stream({ ...base, input: `say:${call}`, tools: [weather] });
    const { output } = await stream.finalResponse();
    expect(output[0]).toMatchObject({ type: 'function_call', arguments: '{"city": "Bonn"}' });
  });

  it('refuses what needs a memory', async () => {
    const create = (more: object) => client.responses.create({ ...base, input: 'x', ...more });
    await expect(create({ previous_response_id: 'resp_1' })).rejects.toMatchObject({
      status: 400,
      param: 'previous_response_id',
    });
    await expect(create({ store: true })).rejects.toMatchObject({ status: 400, param: 'store' });
    await expect(create({ tools: [{ type: 'web_search' }] })).rejects.toMatchObject({
      status: 400,
    });
  });

  it('ends a stream that fails with response.failed', async () => {
    served.runner.stepMs = 2;
    const stream = await client.responses.create({
      ...base,
      input: `say:${'x'.repeat(500)}`,
      stream: true,
    });
    let last = '';
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') served.runner.failures = 1;
      last = event.type;
    }
    served.runner.failures = 0;
    served.runner.stepMs = 0;
    expect(last).toBe('response.failed');
  });
});
