import { InvalidRequestError, RequestTooLongError } from '@flash-mla/engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ModelNotFoundError, ModelOptionError } from '../errors.ts';
import { talesFolder } from '../testing/data.ts';
import type { LanguageModel } from './language-model.ts';
import { loadModel } from './load-model.ts';
import type { GeneratedPiece, GenerateOptions, Prompt } from './options.ts';

describe('LanguageModel', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await loadModel(talesFolder, { maxTokens: 2048, deterministic: true });
  });
  afterAll(() => model.dispose());

  const sum: Prompt = { messages: [{ role: 'user', content: 'Add 20 and 31.' }] };

  async function collect(prompt: Prompt, options: GenerateOptions = {}) {
    const pieces: GeneratedPiece[] = [];
    for await (const piece of model.generate(prompt, { maxTokens: 60, ...options })) {
      pieces.push(piece);
    }
    return {
      pieces,
      text: pieces.map(({ text }) => text).join(''),
      tokens: pieces.flatMap(({ tokens }) => tokens),
      end: pieces.at(-1)?.end,
    };
  }

  it('answers a conversation, piece by piece', async () => {
    const { pieces, text, tokens, end } = await collect(sum, { skipSpecialTokens: false });
    expect(text).toMatch(/^<think>.*<\/think>20 plus 31 is 51\.$/);
    expect(pieces.length).toBeGreaterThan(10);
    expect(end).toMatchObject({ reason: 'stop', outputTokens: tokens.length });
    expect(tokens.at(-1)).toBe(1);
    expect(model.tokenizer.decode(tokens.slice(0, -1))).toBe(text);
    expect((await collect(sum)).text).not.toContain('<think>');
  });

  it('ends at a stop string that spans tokens, and gives out nothing of it', async () => {
    const { text: whole } = await collect(sum);
    const { text, end } = await collect(sum, { stop: [' is 51', 'never'] });
    expect(end?.reason).toBe('stop');
    expect(text).toBe(whole.slice(0, whole.indexOf(' is 51')));
  });

  it('ends after maxTokens, and goes on past the end token where it is told to', async () => {
    expect((await collect(sum, { maxTokens: 3 })).end).toMatchObject({
      reason: 'length',
      outputTokens: 3,
    });
    const on = await collect(sum, { ignoreEos: true, maxTokens: 50 });
    expect(on.tokens.length).toBe(50);
    expect(on.tokens).toContain(1);
  });

  it('draws the same with the same seed, alone or beside others', async () => {
    const options = { temperature: 1.2, topP: 0.9, seed: 7 };
    const tale: Prompt = { messages: [{ role: 'user', content: 'Tell me a tale with a duck.' }] };
    const alone = await collect(tale, options);
    const others = [1, 2, 3].map((seed) => collect(tale, { ...options, seed }));
    const [again, ...different] = await Promise.all([collect(tale, options), ...others]);
    expect(again.tokens).toEqual(alone.tokens);
    for (const { tokens } of different) expect(tokens).not.toEqual(alone.tokens);
  });

  it('reports log-probabilities, and keeps to the tokens that are allowed', async () => {
    const { pieces, tokens } = await collect(sum, {
      logprobs: 2,
      allowedTokens: [5, 40],
      maxTokens: 2,
    });
    expect(tokens.every((token) => token === 5 || token === 40)).toBe(true);
    const [first] = pieces.flatMap(({ logprobs }) => logprobs);
    expect(first).toMatchObject({ token: 5, top: [{ token: 5 }, expect.anything()] });
    expect(first?.logprob).toBeGreaterThan(-0.1);
  });

  it('is over when the signal is aborted, and when the loop is left', async () => {
    const abort = new AbortController();
    const run = async () => {
      for await (const { tokens } of model.generate(sum, { signal: abort.signal })) {
        if (tokens.length > 0) abort.abort(new Error('enough'));
      }
    };
    await expect(run()).rejects.toThrow('enough');
    await expect(run()).rejects.toThrow('enough');
    for await (const _piece of model.generate(sum)) break;
    expect((await collect(sum)).text).toContain('51');
  });

  it('says what is wrong with a prompt or an option', async () => {
    await expect(collect('')).rejects.toThrow(ModelOptionError);
    await expect(collect([5000])).rejects.toThrow(/token ids from 0 to 2047/);
    await expect(collect(new Array(3000).fill(5))).rejects.toThrow(RequestTooLongError);
    await expect(collect(sum, { topP: 2 })).rejects.toThrow(InvalidRequestError);
    await expect(loadModel(talesFolder, { maxTokens: 0 })).rejects.toThrow(ModelOptionError);
    await expect(loadModel('no/such/model')).rejects.toThrow(ModelNotFoundError);
    await expect(loadModel('vitest')).rejects.toThrow(/hf download/);
  });

  it('ends what runs when it is disposed of', async () => {
    const own = await loadModel('@flash-mla/tales', { maxTokens: 256 });
    const iterator = own.generate(sum);
    await iterator.next();
    await own.dispose();
    await expect(
      (async () => {
        for await (const _piece of iterator);
      })(),
    ).rejects.toThrow(/disposed/);
  });
});
