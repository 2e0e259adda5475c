import { afterAll, describe, expect, it } from 'vitest';
import { readServedModel } from '../model/checkpoint-model.ts';
import { TokenizerThread } from './tokenizer-thread.ts';

describe('TokenizerThread', () => {
  const thread = new TokenizerThread('@flash-mla/tales');
  afterAll(() => thread.close());

  it('gives the tokens that the tokenizer gives, in order, again after it was closed', async () => {
    const { tokenizer } = await readServedModel('@flash-mla/tales');
    const texts = ['Once upon a time '.repeat(500), '<｜User｜>é 世界', ''];
    for (let round = 0; round < 2; round++) {
      const all = await Promise.all(texts.map((text) => thread.encode(text, true)));
      expect(all).toEqual(texts.map((text) => tokenizer.encode(text, { addSpecialTokens: true })));
      await thread.close();
    }
  });

  it('rejects what waits when it ends', async () => {
    const rejected = expect(thread.encode('x'.repeat(10_000), false)).rejects.toThrow(/closed/);
    await thread.close();
    await rejected;
  });

  it('leaves the thread that asks free', async () => {
    await thread.encode('warm', false);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await thread.encode('the quick brown fox 123 jumps. '.repeat(20_000), false);
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
  });
});
