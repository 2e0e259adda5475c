import { describe, expect, it } from 'vitest';
import type { OutputFamily } from '../model/served-model.ts';
import { parserFor } from './families.ts';
import type { OutputPart } from './parts.ts';
import type { ReasoningMode } from './reasoning-parser.ts';

const tools = new Map<string, unknown>([
  [
    'get_weather',
    { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
  ],
  ['now', { type: 'object', properties: {} }],
]);
const call = '{"city": "Bonn, \\"am Rhein\\"", "days": 2}';

interface Message {
  text: string;
  reasoning: string;
  calls: { name: string; id?: string; arguments: string }[];
}

function collect(parts: readonly OutputPart[]): Message {
  const message: Message = { text: '', reasoning: '', calls: [] };
  for (const part of parts) {
    if (part.kind === 'text') message.text += part.text;
    else if (part.kind === 'reasoning') message.reasoning += part.text;
    else if (part.kind === 'call') {
      expect(part.call).toBe(message.calls.length);
      message.calls.push({ name: part.name, ...(part.id && { id: part.id }), arguments: '' });
    } else {
      const target = message.calls[part.call];
      if (target) target.arguments += part.text;
    }
  }
  return message;
}

/** Parses a text in pieces of the given ends. */
function parse(
  family: OutputFamily,
  reasoning: ReasoningMode,
  text: string,
  cuts: readonly number[],
) {
  const parser = parserFor(family, { reasoning, tools });
  const parts: OutputPart[] = [];
  let from = 0;
  for (const to of [...cuts, text.length]) {
    parts.push(...parser.push(text.slice(from, to)));
    from = to;
  }
  return collect([...parts, ...parser.flush()]);
}

const v3 = (name: string, json: string) =>
  `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${name}\n\`\`\`json\n${json}\n\`\`\`<｜tool▁call▁end｜>`;
const dsml = (body: string, block = 'function_calls') =>
  `\n\n<｜DSML｜${block}>\n${body}\n</｜DSML｜${block}>`;
const dsmlWeather =
  '<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Bonn, "am Rhein"</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n</｜DSML｜invoke>';

const examples: [string, OutputFamily, ReasoningMode, string, Message][] = [
  [
    'V3: text and two calls',
    'deepseek-v3',
    'off',
    `Let me look.<｜tool▁calls▁begin｜>${v3('get_weather', call)}\n${v3('now', '{}')}<｜tool▁calls▁end｜>`,
    {
      text: 'Let me look.',
      reasoning: '',
      calls: [
        { name: 'get_weather', arguments: call },
        { name: 'now', arguments: '{}' },
      ],
    },
  ],
  [
    'R1: thoughts first, and code in the answer',
    'deepseek-v3',
    'inside',
    'a < b, so </ thinking</think>\n\nUse <b> and ```json\n1\n```.',
    { text: 'Use <b> and ```json\n1\n```.', reasoning: 'a < b, so </ thinking', calls: [] },
  ],
  [
    'V3.1: detected thoughts, then a call',
    'deepseek-v3.1',
    'detect',
    `<think>hm</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>${call}<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
    { text: '', reasoning: 'hm', calls: [{ name: 'get_weather', arguments: call }] },
  ],
  [
    'V3.1: no thoughts where they might be',
    'deepseek-v3.1',
    'detect',
    '<thin ice and <think> later',
    { text: '<thin ice and <think> later', reasoning: '', calls: [] },
  ],
  [
    'V3.2: DSML',
    'deepseek-v3.2',
    'inside',
    `first</think>Look:${dsml(`${dsmlWeather}\n<｜DSML｜invoke name="now">\n</｜DSML｜invoke>`)}`,
    {
      text: 'Look:\n\n',
      reasoning: 'first',
      calls: [
        { name: 'get_weather', arguments: '{"city": "Bonn, \\"am Rhein\\"", "days": 2}' },
        { name: 'now', arguments: '{}' },
      ],
    },
  ],
  [
    'V4: the same under another name',
    'deepseek-v4',
    'off',
    dsml(dsmlWeather, 'tool_calls'),
    { text: '\n\n', reasoning: '', calls: [{ name: 'get_weather', arguments: call }] },
  ],
  [
    'Kimi: ids and names with dots',
    'kimi-k2',
    'detect',
    `<think>x</think>ok<|tool_calls_section_begin|><|tool_call_begin|>functions.my.tool:3<|tool_call_argument_begin|>{"a":1}<|tool_call_end|><|tool_call_begin|>functions.now:4<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>`,
    {
      text: 'ok',
      reasoning: 'x',
      calls: [
        { name: 'my.tool', id: 'functions.my.tool:3', arguments: '{"a":1}' },
        { name: 'now', id: 'functions.now:4', arguments: '{}' },
      ],
    },
  ],
  [
    'GLM: values by the schema, a call without arguments',
    'glm',
    'inside',
    'yes</think>A<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>12</arg_value>\n<arg_key>days</arg_key>\n<arg_value>12</arg_value>\n</tool_call><tool_call>now</tool_call>',
    {
      text: 'A',
      reasoning: 'yes',
      calls: [
        { name: 'get_weather', arguments: '{"city": "12", "days": 12}' },
        { name: 'now', arguments: '{}' },
      ],
    },
  ],
];

describe.each(examples)('%s', (_name, family, reasoning, text, expected) => {
  it('is taken apart as a whole', () => {
    expect(parse(family, reasoning, text, [])).toEqual(expected);
  });

  it('is the same when it is cut anywhere, once or after every character', () => {
    for (let cut = 1; cut < text.length; cut++)
      expect(parse(family, reasoning, text, [cut])).toEqual(expected);
    const everywhere = Array.from({ length: text.length - 1 }, (_, i) => i + 1);
    expect(parse(family, reasoning, text, everywhere)).toEqual(expected);
  });

  it('gives out, at any time, a begin of the same', () => {
    for (let length = 0; length < text.length; length++) {
      const parser = parserFor(family, { reasoning, tools });
      const message = collect(parser.push(text.slice(0, length)));
      expect(expected.text.startsWith(message.text)).toBe(true);
      expect(expected.reasoning.startsWith(message.reasoning)).toBe(true);
      for (const [i, { name, arguments: json }] of message.calls.entries()) {
        expect(name).toBe(expected.calls[i]?.name);
        expect(expected.calls[i]?.arguments.startsWith(json)).toBe(true);
      }
    }
  });
});
