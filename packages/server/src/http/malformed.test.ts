import fc from 'fast-check';
import { expect, it } from 'vitest';
import { serve } from '../testing/serve.ts';

/** `MALFORMED_REQUESTS=5000` sends more than the suite has time for. */
const count = Number(process.env.MALFORMED_REQUESTS ?? 1000);

const message = { role: 'user', content: 'say:x' };
/** A request that each path takes. */
const valid: Record<string, Record<string, unknown>> = {
  '/v1/chat/completions': { model: 'bytes', messages: [message], max_tokens: 2 },
  '/v1/completions': { model: 'bytes', prompt: 'x', max_tokens: 2 },
  '/v1/responses': { model: 'bytes', input: 'say:x', max_output_tokens: 2 },
  '/v1/messages': { model: 'bytes', messages: [message], max_tokens: 2 },
  '/tokenize': { model: 'bytes', prompt: 'x' },
  '/detokenize': { model: 'bytes', tokens: [1] },
};
const fields = [
  ...new Set(Object.values(valid).flatMap((body) => Object.keys(body))),
  ...['stream', 'stream_options', 'n', 'stop', 'seed', 'temperature', 'top_p', 'top_k', 'min_p'],
  ...[
    'logit_bias',
    'logprobs',
    'top_logprobs',
    'tools',
    'tool_choice',
    'response_format',
    'system',
  ],
  ...['presence_penalty', 'frequency_penalty', 'chat_template_kwargs', 'reasoning', 'metadata'],
  ...['__proto__', 'constructor', 'toString', 'user', 'thinking', 'stop_sequences', 'priority'],
];

const hostile = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom<unknown>(null, -1, 0, 1e99, 2 ** 53, -0.5, '', '\u0000', '\ud800', [], {}, [[]]),
  fc.constantFrom<unknown>(
    'x'.repeat(20_000),
    Array.from({ length: 3000 }, () => 7),
    [null],
  ),
  fc.array(fc.record({ role: fc.string(), content: fc.jsonValue({ maxDepth: 2 }) }), {
    maxLength: 3,
  }),
  fc.record({
    type: fc.constantFrom('json_schema', 'function', 'json_object', 'x'),
    function: fc.jsonValue(),
  }),
);
const text = fc.oneof(
  { weight: 8, arbitrary: fc.constant((body: string) => body) },
  {
    weight: 1,
    arbitrary: fc.nat(400).map((at) => (body: string) => body.slice(0, at % (body.length + 1))),
  },
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'binary' }).map((noise) => (body: string) => body + noise),
  },
  {
    weight: 1,
    arbitrary: fc.nat(3000).map((depth) => () => '['.repeat(depth) + ']'.repeat(depth)),
  },
);
const request = fc.record({
  path: fc.constantFrom(...Object.keys(valid)),
  changes: fc.array(fc.tuple(fc.constantFrom(...fields), hostile), { minLength: 1, maxLength: 4 }),
  dropped: fc.option(fc.constantFrom(...fields), { freq: 4 }),
  text,
  type: fc.oneof(
    { weight: 9, arbitrary: fc.constant('application/json') },
    { weight: 1, arbitrary: fc.constantFrom('text/plain', 'application/json; charset=x', 'a/b') },
  ),
});

/** JSON in which a name such as `__proto__` is a field like any other. */
function bodyOf(path: string, changes: [string, unknown][], dropped: string | null): string {
  const entries = new Map([...Object.entries(valid[path] ?? {}), ...changes]);
  if (dropped !== null) entries.delete(dropped);
  const parts = [...entries].map(
    ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`,
  );
  return `{${parts.join(',')}}`;
}

it('answers drawn malformed requests without a 5xx, with errors that say what is wrong', async () => {
  const served = await serve({}, {});
  const wrong: string[] = [];
  const drawn = fc.sample(request, { seed: 20_261_130, numRuns: count });
  let refused = 0;
  const send = async (each: (typeof drawn)[number]) => {
    const body = each.text(bodyOf(each.path, each.changes, each.dropped));
    const init = {
      body,
      headers: { 'content-type': each.type },
      signal: AbortSignal.timeout(20_000),
    };
    const response = await served.post(each.path, {}, init);
    const answer = await response.text();
    if (response.ok) return;
    refused++;
    const isError = (() => {
      try {
        return typeof JSON.parse(answer).error?.message === 'string';
      } catch {
        return false;
      }
    })();
    if (response.status >= 500 || !isError) {
      wrong.push(
        `${each.path} ${response.status} ${body.slice(0, 300)} -> ${answer.slice(0, 200)}`,
      );
    }
  };
  for (let i = 0; i < drawn.length; i += 8) await Promise.all(drawn.slice(i, i + 8).map(send));
  expect(wrong).toEqual([]);
  expect(refused).toBeGreaterThan(count / 4);
  await served.idle();
  const response = await served.post('/v1/completions', valid['/v1/completions']);
  expect(response.status).toBe(200);
}, 120_000);
