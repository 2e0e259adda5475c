import { beforeAll, describe, expect, it } from 'vitest';
import { expectIdleAfterEach, type Served, serve } from '../testing/serve.ts';
import { chat } from './chat.ts';

describe('chat', () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve();
  });
  expectIdleAfterEach(() => served);
  const say = (text: string) => [{ role: 'user', content: `say:${text}` }];
  const greedy = { sampling: { temperature: 0 } };

  it('gives thoughts, text and an end', async () => {
    let [text, thoughts] = ['', ''];
    for await (const event of chat(served.engine, say('<think>hm</think>Yes.'), greedy)) {
      if (event.kind === 'text') text += event.text;
      else if (event.kind === 'reasoning') thoughts += event.text;
      else if (event.kind === 'end')
        expect(event).toMatchObject({ reason: 'stop', usage: { outputTokens: 9 } });
    }
    expect([text, thoughts]).toEqual(['Yes.', 'hm']);
  });

  it('ends when its reader leaves or its signal says so', async () => {
    for await (const event of chat(served.engine, say('x'.repeat(500)), greedy)) {
      expect(event.kind).toBe('text');
      break;
    }
    await served.idle();
    const abort = new AbortController();
    const read = async () => {
      for await (const _ of chat(served.engine, say('x'.repeat(500)), {
        ...greedy,
        signal: abort.signal,
      }))
        abort.abort(new Error('enough'));
    };
    await expect(read()).rejects.toThrow('enough');
    await expect(read()).rejects.toThrow('enough');
    expect(served.engine.stats().finished.stop).toBe(1);
  });

  it('throws what is wrong', async () => {
    const read = async (more: object) => {
      for await (const _ of chat(served.engine, say('x'), { ...greedy, ...more }));
    };
    await expect(read({ toolChoice: { kind: 'required' } })).rejects.toThrow(/tools/);
    await expect(read({ maxTokens: -1 })).rejects.toThrow(/maxTokens/);
    await expect(read({ format: { kind: 'json' } })).rejects.toThrow(/grammar/);
    served.runner.failures = 1;
    await expect(read({})).rejects.toMatchObject({ code: 'internal_error' });
  });
});
