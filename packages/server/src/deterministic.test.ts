import { pino } from 'pino';
import { afterAll, expect, it } from 'vitest';
import { createEngine } from './create-engine.ts';
import { Server } from './server.ts';

const servers: Server[] = [];
afterAll(async () => {
  for (const server of servers) await server.close(0);
});

it('gives the same bits alone, in company, and from the prefix cache', async () => {
  // Chunks of a page, so that a short prompt has some.
  const options = { deterministic: true, deterministicChunk: 64 };
  const engine = await createEngine('@flash-mla/tales', { engine: options });
  const server = new Server(engine, { port: 0, logger: pino({ level: 'silent' }) });
  servers.push(server);
  const url = await server.listen();
  const prompt = (first: number, length: number) =>
    Array.from({ length }, (_, i) => 300 + ((first + 7 * i) % 900));
  const complete = async (tokens: number[], more: object = {}) => {
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ model: 'tales', prompt: tokens, max_tokens: 8, ignore_eos: true, logprobs: 5 },
        ...{ temperature: 0.8, seed: 3, ...more },
      }),
    });
    const { choices, usage } = await response.json();
    const { cached_tokens: cached } = usage.prompt_tokens_details;
    return { bits: JSON.stringify(choices[0].logprobs), cached };
  };
  const mine = prompt(0, 150);
  const alone = await complete(mine);
  expect(alone.cached).toBe(0);
  const others = () => [40, 90, 130].map((length, i) => complete(prompt(50 * i + 1, length)));
  const [cached] = await Promise.all([complete(mine), ...others()]);
  expect(cached.cached).toBe(128);
  const [fresh] = await Promise.all([complete(mine, { cache_salt: 'x' }), ...others()]);
  expect(fresh.cached).toBe(0);
  expect(cached.bits).toBe(alone.bits);
  expect(fresh.bits).toBe(alone.bits);
});
