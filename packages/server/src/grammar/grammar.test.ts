import { allows } from '@flash-mla/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrammarError } from '../errors.ts';
import type { OutputFamily } from '../model/served-model.ts';
import { byteModel } from '../testing/byte-model.ts';
import { type Served, serve } from '../testing/serve.ts';
import { callGrammar } from './call-grammar.ts';
import { grammarVocabulary } from './vocabulary.ts';
import { WorkerGrammars } from './worker-grammars.ts';

const vocabulary = grammarVocabulary(byteModel);
const grammars = new WorkerGrammars(vocabulary);
afterAll(() => grammars.close());
const schema = (value: object) => ({ kind: 'json-schema', source: JSON.stringify(value) }) as const;
const encode = (text: string) => byteModel.tokenizer.encode(text, { addSpecialTokens: false });

/** Feeds a text; the first place where the grammar forbids it, or `end` where it may end behind it. */
async function check(text: string, spec: Parameters<WorkerGrammars['prepare']>[0]) {
  const constraint = (await grammars.prepare(spec))();
  for (const [i, token] of encode(text).entries()) {
    const mask = await constraint.mask();
    if (mask !== undefined && !allows(mask, token)) return i;
    constraint.accept(token);
  }
  const mask = await constraint.mask();
  constraint.close?.();
  return mask !== undefined && allows(mask, 257) ? 'end' : 'more';
}

describe('WorkerGrammars', () => {
  it('allow what a schema allows', async () => {
    const spec = schema({
      type: 'object',
      properties: { a: { type: 'integer' }, b: { enum: ['x', 'é'] } },
      required: ['a'],
    });
    expect(await check('{"a": 12, "b": "é"}', spec)).toBe('end');
    expect(await check('{"a":-3}', spec)).toBe('end');
    expect(await check('{"a": 12', spec)).toBe('more');
    expect(await check('{"a": x', spec)).toBe(6);
    expect(await check('{"a": 1, "c": 1}', spec)).toBe(10);
    expect(await check('hello', spec)).toBe(0);
    expect(await check('{                    "a', spec)).toBeLessThan(12);
  });

  it('begin behind a token', async () => {
    const constraint = (await grammars.prepare(schema({ type: 'object' }), 261))();
    expect(await constraint.mask()).toBeUndefined();
    constraint.accept(65);
    constraint.accept(261);
    const mask = await constraint.mask();
    expect(mask && allows(mask, 123)).toBe(true);
    expect(mask && allows(mask, 65)).toBe(false);
  });

  it.each([
    ['a type that is none', schema({ type: 'wrong' })],
    ['a schema that is no JSON', { kind: 'json-schema', source: '{' } as const],
    [
      'one that is too large',
      schema({ enum: Array.from({ length: 9000 }, (_, i) => `value ${i}`) }),
    ],
    ['one that is too deep', schema(JSON.parse(`${'{"items":'.repeat(40)}{}${'}'.repeat(40)}`))],
    ['no structural tag', { kind: 'structural-tag', source: '{}' } as const],
  ])('refuse %s, and go on', async (_name, spec) => {
    await expect(grammars.prepare(spec)).rejects.toThrow(GrammarError);
    expect(await check('{}', schema({ type: 'object' }))).toBe('end');
  });

  it('end a worker that takes too long; others go on with a new one', async () => {
    const own = new WorkerGrammars(vocabulary);
    const running = (
      await own.prepare(schema({ type: 'object', properties: { a: {} }, required: ['a'] }))
    )();
    for (const token of encode('{"a')) running.accept(token);
    await running.mask();
    await own.close();
    for (const token of encode('":')) running.accept(token);
    const mask = await running.mask();
    expect(mask && allows(mask, 123)).toBe(true);
    expect(mask && allows(mask, 44)).toBe(false);
    await own.close();
    const hasty = new WorkerGrammars(vocabulary, { compileTimeoutMs: 1 });
    await expect(hasty.prepare(schema({ type: 'object' }))).rejects.toThrow(/1 ms/);
  });
});

describe('callGrammar', () => {
  const tools = ['get_weather', 'now'].map((name) => ({
    type: 'function' as const,
    function: {
      name,
      parameters: { type: 'object', properties: { c: { type: 'integer' } }, required: ['c'] },
    },
  }));
  const v3 =
    '<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{"c": 1}\n```<｜tool▁call▁end｜>';
  const v31 = '<｜tool▁call▁begin｜>now<｜tool▁sep｜>{"c": 1}<｜tool▁call▁end｜>';
  const kimi =
    '<|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{"c": 1}<|tool_call_end|>';
  const dsml =
    '<｜DSML｜invoke name="now">\n<｜DSML｜parameter name="c" string="false">1</｜DSML｜parameter>\n</｜DSML｜invoke>';
  const inDsml = (block: string, text: string) =>
    `\n\n<｜DSML｜${block}>\n${text}\n</｜DSML｜${block}>`;
  const [begin, end] = ['<｜tool▁calls▁begin｜>', '<｜tool▁calls▁end｜>'];

  it.each<[OutputFamily, string, string]>([
    ['deepseek-v3', `${begin}${v3}${end}`, `${begin}${v3}\n${v3}${end}`],
    ['deepseek-v3.1', `${begin}${v31}${end}`, `${begin}${v31}${v31}${end}`],
    [
      'kimi-k2',
      `<|tool_calls_section_begin|>${kimi}<|tool_calls_section_end|>`,
      `<|tool_calls_section_begin|>${kimi}${kimi}<|tool_calls_section_end|>`,
    ],
    ['deepseek-v3.2', inDsml('function_calls', dsml), inDsml('function_calls', `${dsml}\n${dsml}`)],
    ['deepseek-v4', inDsml('tool_calls', dsml), inDsml('tool_calls', `${dsml}\n${dsml}`)],
    [
      'glm',
      '<tool_call>now\n<arg_key>c</arg_key></tool_call>',
      '<tool_call>now</tool_call><tool_call>now</tool_call>',
    ],
  ])('of %s allows a call, several only where they may be', async (family, one, two) => {
    const forced = { tools, isForced: true, isParallel: true };
    expect(await check(one, callGrammar(family, forced))).toBe('end');
    expect(await check(two, callGrammar(family, forced))).toBe('end');
    expect(await check(two, callGrammar(family, { ...forced, isParallel: false }))).not.toBe('end');
    expect(await check('text', callGrammar(family, forced))).toBe(0);
    const wrong = one.replace('now', 'then');
    expect(await check(wrong, callGrammar(family, forced))).toBeTypeOf('number');
    const free = { tools, isForced: false, isParallel: true };
    expect(await check(`text ${one}`, callGrammar(family, free))).toBe('end');
    expect(await check('text alone', callGrammar(family, free))).toBe('end');
    expect(await check(`text ${wrong}`, callGrammar(family, free))).toBeTypeOf('number');
  });
});

describe('structured answers over HTTP', () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve({}, {}, grammars);
  });
  const post = (text: string, more: object) =>
    served.post('/v1/chat/completions', {
      model: 'bytes',
      messages: [{ role: 'user', content: text }],
      max_tokens: 300,
      seed: 3,
      ...more,
    });
  const format = {
    type: 'json_schema',
    json_schema: {
      name: 'pair',
      schema: {
        type: 'object',
        properties: { on: { type: 'boolean' }, kind: { enum: ['a', 'b'] } },
        required: ['on', 'kind'],
        additionalProperties: false,
      },
    },
  };
  const weather = {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: { type: 'object', properties: { hot: { type: 'boolean' } }, required: ['hot'] },
    },
  };

  it.each([0, 1])('are JSON of the schema, at temperature %s', async (temperature) => {
    const answers = await Promise.all(
      ['the cat', 'say:no json', 'say:{"on": true'].map((text) =>
        post(text, { response_format: format, temperature }),
      ),
    );
    for (const response of answers) {
      const { choices } = await response.json();
      expect(choices[0].finish_reason).toBe('stop');
      const value = JSON.parse(choices[0].message.content);
      expect(value).toEqual({ on: expect.any(Boolean), kind: expect.stringMatching(/^[ab]$/) });
    }
    await served.idle();
  });

  it('begin behind the thoughts', async () => {
    const response = await post('say:no json here</think>nothing', {
      response_format: format,
      chat_template_kwargs: { thinking: true },
      temperature: 0,
    });
    const { message } = (await response.json()).choices[0];
    expect(message.reasoning).toBe('no json here');
    expect(JSON.parse(message.content)).toHaveProperty('on');
  });

  it('are calls where calls are forced', async () => {
    for (const choice of ['required', { type: 'function', function: { name: 'get_weather' } }]) {
      const response = await post('say:I will not.', {
        tools: [weather],
        tool_choice: choice,
        temperature: 0,
      });
      const { finish_reason, message } = (await response.json()).choices[0];
      expect(finish_reason).toBe('tool_calls');
      expect(message.tool_calls[0].function.name).toBe('get_weather');
      expect(JSON.parse(message.tool_calls[0].function.arguments)).toEqual({
        hot: expect.any(Boolean),
      });
    }
  });

  it('are refused with what is wrong', async () => {
    const wrong = { ...format, json_schema: { name: 'x', schema: { type: 'wrong' } } };
    const response = await post('x', { response_format: wrong });
    expect(response.status).toBe(400);
    const { error } = await response.json();
    expect(error).toMatchObject({ code: 'invalid_schema', param: 'response_format' });
    expect(error.message).toMatch(/Unsupported type/);
  });
});
