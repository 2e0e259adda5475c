import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenizerError } from '../errors.ts';
import { dataPath, talesText } from '../testing/data.ts';
import { ChatTemplate } from './chat-template.ts';
import { Detokenizer } from './detokenizer.ts';
import { Tokenizer } from './tokenizer.ts';

const files = {
  tokenizer: talesText('tokenizer.json'),
  config: talesText('tokenizer_config.json'),
  chatTemplate: talesText('chat_template.jinja'),
};
const tokenizer = new Tokenizer(files);
/** Half of a character beyond the first 65,536. */
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const unseen = readFileSync(dataPath('tales/held_out.jsonl'), 'utf8').trim().split('\n');

describe('Tokenizer', () => {
  it('gives back every text', () => {
    for (const line of unseen.slice(0, 20)) {
      const text: string = JSON.parse(line);
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it('recognises special tokens and can leave them out', () => {
    const ids = tokenizer.encode('<｜User｜>Hi<｜Assistant｜>');
    expect([ids[0], ids.at(-1)]).toEqual([3, 4]);
    expect(tokenizer.isSpecial(3)).toBe(true);
    expect(tokenizer.isSpecial(ids[1] ?? 3)).toBe(false);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('Hi');
    expect(tokenizer.idOf('<｜end▁of▁sentence｜>')).toBe(1);
  });

  it('passes over ids that no token has', () => {
    const [hi = 0] = tokenizer.encode('Hi');
    expect(tokenizer.decode([hi, 2047, hi])).toBe(tokenizer.decode([hi, hi]));
    expect(tokenizer.decode([2047])).toBe('');
  });

  it.each([
    ['an empty file', ''],
    ['a list', '[]'],
    ['no model', '{}'],
    ['a model of an unknown kind', '{ "model": { "type": "Nonsense" } }'],
    ['a vocabulary that is none', '{ "model": { "type": "BPE", "vocab": 3, "merges": [] } }'],
  ])('refuses %s', (_what, text) => {
    expect(() => new Tokenizer({ tokenizer: text })).toThrow(TokenizerError);
  });
});

describe('Detokenizer', () => {
  it('gives out characters only whole, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
        const detokenizer = new Detokenizer(tokenizer);
        const pieces = tokenizer.encode(text).map((id) => detokenizer.push(id));
        for (const piece of pieces) expect(piece).not.toMatch(loneSurrogate);
        if (!text.includes('\ufffd')) expect(pieces.join('')).not.toContain('\ufffd');
        expect(pieces.join('') + detokenizer.flush()).toBe(
          tokenizer.decode(tokenizer.encode(text)),
        );
      }),
      { seed: 16, numRuns: 200 },
    );
  });

  it('gives any tokens the text that they have together', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1599), { maxLength: 30 }), fc.boolean(), (ids, skip) => {
        const options = { skipSpecialTokens: skip };
        const detokenizer = new Detokenizer(tokenizer, options);
        const text = ids.map((id) => detokenizer.push(id)).join('') + detokenizer.flush();
        expect(text).toBe(tokenizer.decode(ids, options));
      }),
      { seed: 16, numRuns: 300 },
    );
  });

  it('ends an incomplete character with a replacement', () => {
    const detokenizer = new Detokenizer(tokenizer);
    const ids = tokenizer.encode('a😀');
    expect(
      ids
        .slice(0, -1)
        .map((id) => detokenizer.push(id))
        .join(''),
    ).toBe('a');
    expect(detokenizer.flush()).toBe('\ufffd');
  });
});

describe('ChatTemplate', () => {
  it('writes a conversation as the model was trained on', () => {
    const text: string = JSON.parse(unseen[1] ?? '');
    const [, user = '', assistant = ''] =
      /<｜User｜>(.*?)<｜Assistant｜>(.*?)<｜end▁of▁sentence｜>/.exec(text) ?? [];
    const messages = [
      { role: 'user', content: user },
      { role: 'assistant', content: assistant },
    ];
    const rendered = tokenizer.chatTemplate?.render(messages, { addGenerationPrompt: false });
    expect(rendered).toBe(
      `<｜begin▁of▁sentence｜><｜User｜>${user}<｜Assistant｜>${assistant}<｜end▁of▁sentence｜>`,
    );
    expect(tokenizer.chatTemplate?.render(messages.slice(0, 1))).toMatch(/<｜Assistant｜>$/);
  });

  it('hands over tools and variables', () => {
    const template = new ChatTemplate('{{ bos_token }}{{ tools[0].name }} {{ mood }}', {
      bos_token: '<s>',
    });
    const tools = [{ name: 'get_weather' }];
    expect(template.render([], { tools, variables: { mood: 'calm' } })).toBe('<s>get_weather calm');
  });

  it('comes from tokenizer_config.json where there is no file of its own', () => {
    const named = [
      { name: 'tool_use', template: 'x' },
      { name: 'default', template: 'y' },
    ];
    for (const chat_template of ['y', named]) {
      const config = JSON.stringify({ chat_template });
      const { chatTemplate } = new Tokenizer({ tokenizer: files.tokenizer, config });
      expect(chatTemplate?.render([])).toBe('y');
    }
    expect(new Tokenizer({ tokenizer: files.tokenizer }).chatTemplate).toBeUndefined();
  });

  it('says what it refuses', () => {
    expect(() => new ChatTemplate('{% for %}')).toThrow(TokenizerError);
    const strict = new ChatTemplate("{{ raise_exception('no system role') }}");
    expect(() => strict.render([])).toThrow(/no system role/);
  });
});
