import { describe, expect, it } from 'vitest';
import { TokenizerError } from '../errors.ts';
import { DeepSeekV32Format } from './deepseek-v32-format.ts';
import { parseOrdered, pythonJson } from './ordered-json.ts';

const format = new DeepSeekV32Format();
const [begin, end] = ['<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>'];

const parameters = { type: 'object', properties: { city: { type: 'string' } } };
const tools = [
  { type: 'function', function: { name: 'weather', description: 'Météo', parameters } },
];
const call = (id: string, args: string) => ({
  ...{ id, type: 'function', function: { name: 'weather', arguments: args } },
});
const asked = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Rain in Ulm and Bonn?' },
  {
    role: 'assistant',
    content: '',
    reasoning_content: 'Two calls.',
    tool_calls: [call('1', '{"city":"Ulm","days":2}'), call('2', '{"city":"Bonn","at":[1.0,2e3]}')],
  },
  { role: 'tool', content: 'wet', tool_call_id: '1' },
  { role: 'tool', content: 'dry', tool_call_id: '2' },
];
const calls =
  '\n\n<｜DSML｜function_calls>\n' +
  '<｜DSML｜invoke name="weather">\n' +
  '<｜DSML｜parameter name="city" string="true">Ulm</｜DSML｜parameter>\n' +
  '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n' +
  '</｜DSML｜invoke>\n' +
  '<｜DSML｜invoke name="weather">\n' +
  '<｜DSML｜parameter name="city" string="true">Bonn</｜DSML｜parameter>\n' +
  '<｜DSML｜parameter name="at" string="false">[1.0, 2000.0]</｜DSML｜parameter>\n' +
  '</｜DSML｜invoke>\n' +
  '</｜DSML｜function_calls>';
const results =
  '\n\n<function_results>\n<result>wet</result>\n<result>dry</result>\n</function_results>';

describe('the prompts of DeepSeek V3.2', () => {
  it('begin an answer without thoughts, or with them', () => {
    const hello = [{ role: 'user', content: 'Hello' }];
    const opened = `${begin}<｜User｜>Hello<｜Assistant｜>`;
    expect(format.render(hello)).toBe(`${opened}</think>`);
    expect(format.render(hello, { variables: { enable_thinking: true } })).toBe(`${opened}<think>`);
    expect(format.render(hello, { variables: { thinking: true } })).toBe(`${opened}<think>`);
    expect(format.render(hello, { addGenerationPrompt: false })).toBe(`${begin}<｜User｜>Hello`);
  });

  it('write calls and their results, and go on to think about them', () => {
    const text = format.render(asked, { variables: { thinking: true } });
    const before = `${begin}Be brief.<｜User｜>Rain in Ulm and Bonn?<｜Assistant｜><think>Two calls.</think>`;
    expect(text).toBe(`${before}${calls}${end}${results}\n\n<think>`);
  });

  it('leave out the thoughts before the last message of the user', () => {
    const more = [
      ...asked,
      { role: 'assistant', content: 'Ulm.', reasoning_content: 'Easy.' },
      { role: 'user', content: 'Thanks' },
    ];
    const text = format.render(more, { variables: { thinking: true } });
    const first = `${begin}Be brief.<｜User｜>Rain in Ulm and Bonn?<｜Assistant｜></think>${calls}${end}`;
    expect(text).toBe(
      `${first}${results}\n\n</think>Ulm.${end}<｜User｜>Thanks<｜Assistant｜><think>`,
    );
  });

  it('put the tools behind the text of the system, in the form of Python', () => {
    const text = format.render(asked.slice(0, 2), { tools });
    const line =
      '{"name": "weather", "description": "Météo", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}';
    expect(text.startsWith(`${begin}Be brief.\n\n## Tools\n\nYou have access`)).toBe(true);
    expect(text).toContain(`<functions>\n${line}\n</functions>\n<｜User｜>Rain`);
    const alone = format.render(asked.slice(1, 2), { tools });
    expect(alone.startsWith(`${begin}\n\n## Tools\n\n`)).toBe(true);
  });

  it('wrap the messages of developers, of which only the last is kept with thoughts', () => {
    const messages = [
      { role: 'developer', content: 'Search.', response_format: { type: 'object' } },
      { role: 'user', content: 'Now' },
    ];
    expect(format.render(messages)).toBe(
      `${begin}<｜User｜>\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n` +
        `{"type": "object"}\n\n# The user's message is: Search.<｜Assistant｜></think>` +
        `<｜User｜>Now<｜Assistant｜></think>`,
    );
    const thinking = format.render(messages, { variables: { thinking: true } });
    expect(thinking).toBe(`${begin}<｜User｜>Now<｜Assistant｜><think>`);
  });

  it.each([
    ['a role', [{ role: 'judge', content: 'x' }]],
    ['a result without a call', [{ role: 'tool', content: 'x' }]],
    ['more results than calls', [...asked, { role: 'tool', content: 'x' }]],
    [
      'arguments that are no object',
      [{ role: 'assistant', content: '', tool_calls: [call('1', '[1]')] }],
    ],
    [
      'arguments that are no JSON',
      [{ role: 'assistant', content: '', tool_calls: [call('1', '{')] }],
    ],
  ])('refuse %s', (_, messages) => {
    expect(() => format.render(messages)).toThrow(TokenizerError);
  });
});

describe('JSON as Python writes it', () => {
  // Of json.dumps(json.loads(text), ensure_ascii=False).
  it.each([
    ['{"b":1,"2":2,"1":{}}', '{"b": 1, "2": 2, "1": {}}'],
    ['{"a":1,"b":2,"a":3}', '{"a": 3, "b": 2}'],
    ['[1.0,1.50,-0.0,-0,12345678901234567890]', '[1.0, 1.5, -0.0, 0, 12345678901234567890]'],
    ['[1e5,1e16,1.5e-5,0.0001,1e22]', '[100000.0, 1e+16, 1.5e-05, 0.0001, 1e+22]'],
    ['[true,false,null,"é\\u00e9\\n\\"{,"]', '[true, false, null, "éé\\n\\"{,"]'],
    ['[]', '[]'],
  ])('%s', (text, expected) => {
    expect(pythonJson(parseOrdered(text))).toBe(expected);
  });
});
