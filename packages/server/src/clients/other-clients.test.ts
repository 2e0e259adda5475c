import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { HumanMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { grammarVocabulary } from '../grammar/vocabulary.ts';
import { WorkerGrammars } from '../grammar/worker-grammars.ts';
import { byteModel } from '../testing/byte-model.ts';
import { expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';

const grammars = new WorkerGrammars(grammarVocabulary(byteModel));
afterAll(() => grammars.close());
const weatherCall =
  '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Bonn"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>';
let served: Served;
beforeAll(async () => {
  served = await serve({}, {}, grammars);
});
expectIdleAfterEach(() => served);

describe('the AI SDK', () => {
  const model = () =>
    createOpenAICompatible({
      name: 'flash-mla',
      baseURL: `${served.url}/v1`,
      includeUsage: true,
      supportsStructuredOutputs: true,
    })('bytes');

  it('generates and streams, thoughts too', async () => {
    const whole = await generateText({
      model: model(),
      prompt: 'say:<think>why</think>Because.',
      temperature: 0,
    });
    expect([whole.text, whole.reasoningText]).toEqual(['Because.', 'why']);
    const stream = streamText({
      model: model(),
      prompt: 'say:<think>why</think>Because.',
      temperature: 0,
    });
    expect(await stream.text).toBe('Because.');
    expect(await stream.reasoningText).toBe('why');
    expect(await stream.finishReason).toBe('stop');
    expect((await stream.usage).outputTokens).toBe(14);
  });

  it('runs tools and makes objects', async () => {
    const result = await generateText({
      model: model(),
      prompt: `say:${weatherCall}`,
      temperature: 0,
      stopWhen: stepCountIs(2),
      tools: {
        get_weather: tool({
          description: 'The weather.',
          inputSchema: jsonSchema<{ city: string }>({
            type: 'object',
            properties: { city: { type: 'string' } },
          }),
          execute: async ({ city }) => `say:Rain in ${city}.`,
        }),
      },
    });
    expect(result.text).toContain('Rain in Bonn.');
    const { object } = await generateObject({
      model: model(),
      schema: z.object({ ok: z.boolean() }),
      prompt: 'say:x',
      temperature: 0,
    });
    expect(object).toEqual({ ok: expect.any(Boolean) });
  });

  it('aborts and reports errors', async () => {
    served.runner.stepMs = 2;
    const abort = new AbortController();
    const answer = generateText({
      model: model(),
      prompt: `say:${'x'.repeat(900)}`,
      temperature: 0,
      abortSignal: abort.signal,
    });
    setTimeout(() => abort.abort(), 20);
    await expect(answer).rejects.toThrow();
    served.runner.stepMs = 0;
    await expect(generateText({ model: model(), prompt: 'x', topP: 7 })).rejects.toThrow(/top_p/);
  });
});

describe('LangChain', () => {
  const model = () =>
    new ChatOpenAI({
      model: 'bytes',
      apiKey: 'none',
      temperature: 0,
      configuration: { baseURL: `${served.url}/v1` },
    });

  it('invokes, streams, calls tools', async () => {
    const answer = await model().invoke([new HumanMessage('say:Hello!')]);
    expect(answer.content).toBe('Hello!');
    let text = '';
    for await (const chunk of await model().stream('say:Hello!')) text += chunk.content;
    expect(text).toBe('Hello!');
    const weather = langchainTool(async () => 'rain', {
      name: 'get_weather',
      description: 'The weather.',
      schema: z.object({ city: z.string() }),
    });
    const called = await model().bindTools([weather]).invoke(`say:${weatherCall}`);
    expect(called.tool_calls).toMatchObject([{ name: 'get_weather', args: { city: 'Bonn' } }]);
    const structured = model().withStructuredOutput(z.object({ ok: z.boolean() }), {
      method: 'jsonSchema',
    });
    expect(await structured.invoke('say:x')).toEqual({ ok: expect.any(Boolean) });
  });
});
