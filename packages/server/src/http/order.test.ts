import { describe, expect, it } from 'vitest';
import { type Served, serve } from '../testing/serve.ts';

// What a request says of itself, and who sends it, has to reach the engine.

const ask = (more: object = {}) => ({
  model: 'bytes',
  temperature: 0,
  messages: [{ role: 'user', content: 'say:0123456789' }],
  ...more,
});

/** Posts a request; notes its name when the answer is whole. */
async function send(served: Served, ended: string[], name: string, more: object, key = 'a') {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const body = JSON.stringify(ask(more));
  const response = await served.post('/v1/chat/completions', {}, { body, headers });
  expect(response.status).toBe(200);
  await response.text();
  ended.push(name);
}

/** A server that computes one sequence at a time, and is busy with one until `go` is called. */
async function busy() {
  const served = await serve({ apiKeys: ['a', 'b'] }, { maxRunning: 1 });
  served.runner.stepMs = 1;
  const abort = new AbortController();
  const headers = { 'content-type': 'application/json', authorization: 'Bearer a' };
  const messages = [{ role: 'user', content: `say:${'x'.repeat(3500)}` }];
  const body = JSON.stringify(ask({ messages, priority: -100 }));
  const { signal } = abort;
  const first = served.post('/v1/chat/completions', {}, { body, headers, signal }).catch(() => {});
  await expect.poll(() => served.engine.stats().running).toBe(1);
  const go = () => {
    abort.abort();
    return first;
  };
  return { served, go };
}
const waiting = (served: Served, count: number) =>
  expect.poll(() => served.engine.stats().waiting).toBe(count);

describe('who comes next', () => {
  it('is no matter of how many requests a key sends', async () => {
    const { go, served } = await busy();
    const ended: string[] = [];
    const many = Array.from({ length: 12 }, (_, i) => send(served, ended, `a${i}`, {}));
    await waiting(served, 12);
    const few = ['b0', 'b1', 'b2'].map((name) => send(served, ended, name, {}, 'b'));
    await waiting(served, 15);
    await Promise.all([go(), ...many, ...few]);
    // The other key has had the most so far. Without shares these would be the last three.
    expect(ended.indexOf('b2')).toBeLessThan(8);
  });

  it('is who has the lower priority, then who came first', async () => {
    const { go, served } = await busy();
    const ended: string[] = [];
    const all = [];
    for (const [i, priority] of [5, 1, 5, 1, 3].entries()) {
      all.push(send(served, ended, `${priority} ${i}`, { priority }));
      await waiting(served, i + 1);
    }
    await Promise.all([go(), ...all]);
    expect(ended).toEqual(['1 1', '1 3', '3 4', '5 0', '5 2']);
  });
});

it('choices of one request share the pages of its prompt, and its tokens are counted once', async () => {
  const served = await serve({}, { totalPages: 400, pageSize: 16 });
  served.runner.stepMs = 2;
  const { total } = served.engine.stats().pages;
  // 62 whole pages and a part of one; four of them without sharing would be 252.
  const prompt = Array.from({ length: 1000 }, (_, i) => 97 + (i % 26));
  const body = { model: 'bytes', prompt, n: 4, max_tokens: 60, ignore_eos: true, temperature: 1 };
  const answer = served.post('/v1/completions', body);
  await expect.poll(() => served.engine.stats().running).toBe(4);
  await expect.poll(() => served.engine.stats().outputTokens).toBeGreaterThan(4);
  expect(total - served.engine.stats().pages.free).toBeLessThan(62 + 4 * 6);
  const { choices, usage } = await (await answer).json();
  expect(choices).toHaveLength(4);
  expect(usage).toMatchObject({ prompt_tokens: 1000, completion_tokens: 240 });
  await served.idle();
});
