// Requests of every kind, as many clients send them: whole and streamed, ended early, too late, malformed, too slow.
import { request as httpRequest } from 'node:http';

/** Random numbers that are the same for the same seed (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit) => Math.floor(next() * limit);
  return { next, below, of: (list) => list[below(list.length)] };
}

const user = (content) => [{ role: 'user', content }];
const tales = ['Tell me a tale.', 'Tell me a tale of a fox.', 'Who lives in the forest?'];
const schema = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', maximum: 99 } },
  required: ['name', 'age'],
};
const tool = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string', maxLength: 20 } } },
  },
};

/** Prompts in tokens, of which many begin alike. */
function tokens(random, longest) {
  const group = random.below(6);
  const shared = Array.from(
    { length: random.below(longest / 2) },
    (_, i) => 300 + ((i * 7 + group) % 900),
  );
  return [
    ...shared,
    ...Array.from({ length: 1 + random.below(longest / 2) }, () => 300 + random.below(900)),
  ];
}

const chat = (body) => ({ path: '/v1/chat/completions', body: { model: 'tales', ...body } });

/** Each kind draws a request; its weight is how often it comes. */
const kinds = {
  sum: [
    3,
    (random) => {
      const [a, b] = [10 + random.below(30), 10 + random.below(30)];
      const body = { messages: user(`What is ${a} + ${b}?`), temperature: 0, max_tokens: 80 };
      return { ...chat({ ...body, stream: random.below(2) === 0 }), says: String(a + b) };
    },
  ],
  tale: [
    3,
    (random) =>
      chat({
        messages: user(random.of(tales)),
        max_tokens: 8 + random.below(120),
        seed: random.below(1e6),
        temperature: random.next(),
        top_p: 0.5 + random.next() / 2,
        stream: random.below(3) > 0,
        stream_options: { include_usage: true },
        ...(random.below(3) === 0 && { n: 2 + random.below(3) }),
        ...(random.below(4) === 0 && { logprobs: true, top_logprobs: 5 }),
        ...(random.below(4) === 0 && { stop: ['.', ' and'] }),
        ...(random.below(5) === 0 && { priority: random.below(30) }),
        ...(random.below(5) === 0 && { cache_salt: `salt${random.below(3)}` }),
      }),
  ],
  tokens: [
    3,
    (random) => ({
      path: '/v1/completions',
      body: {
        model: 'tales',
        prompt: tokens(random, 1600),
        max_tokens: 1 + random.below(60),
        ignore_eos: true,
        stream: random.below(2) === 0,
      },
    }),
  ],
  response: [
    1,
    (random) => ({
      path: '/v1/responses',
      body: {
        model: 'tales',
        input: random.of(tales),
        max_output_tokens: 40,
        stream: random.below(2) === 0,
      },
    }),
  ],
  message: [
    1,
    (random) => ({
      path: '/v1/messages',
      body: {
        model: 'tales',
        messages: user(random.of(tales)),
        max_tokens: 40,
        stream: random.below(2) === 0,
      },
    }),
  ],
  schema: [
    1,
    (random) =>
      chat({
        messages: user('Who lives in the forest?'),
        max_tokens: 120,
        stream: random.below(2) === 0,
        response_format: { type: 'json_schema', json_schema: { name: 'hero', schema } },
      }),
  ],
  call: [
    1,
    (random) =>
      chat({
        messages: user('Weather?'),
        max_tokens: 60,
        tools: [tool],
        tool_choice: random.of(['auto', 'required']),
        stream: random.below(2) === 0,
      }),
  ],
  gone: [
    2,
    (random) => ({
      ...chat({
        messages: user(random.of(tales)),
        max_tokens: 400,
        n: 1 + random.below(3),
        stream: random.below(2) === 0,
      }),
      goneAfterMs: random.below(random.of([5, 60, 600])),
    }),
  ],
  late: [
    1,
    (random) => ({
      ...chat({
        messages: user(random.of(tales)),
        max_tokens: 600,
        ignore_eos: true,
        stream: random.below(2) === 0,
      }),
      headers: { 'x-request-timeout-ms': String(1 + random.below(400)) },
    }),
  ],
  slow: [
    1,
    () => ({
      ...chat({
        messages: user(tales[0]),
        max_tokens: 200,
        ignore_eos: true,
        n: 4,
        stream: true,
        logprobs: true,
      }),
      pauseMs: 20,
    }),
  ],
  wrong: [
    1,
    (random) => {
      const wrong = [
        { n: 0 },
        { messages: [] },
        { temperature: 'hot' },
        { stop: [''] },
        { tools: 1 },
      ];
      return {
        ...chat({ messages: user('x'), max_tokens: 2, ...random.of(wrong) }),
        refused: true,
      };
    },
  ],
  aside: [
    1,
    (random) =>
      random.of([
        {
          path: '/tokenize',
          body: { model: 'tales', prompt: 'once upon a time '.repeat(random.below(500) + 1) },
        },
        { path: '/detokenize', body: { model: 'tales', tokens: tokens(random, 200) } },
        { path: '/v1/models' },
        { path: '/health/ready' },
        { path: '/openapi.json' },
      ]),
  ],
};
const drawn = Object.entries(kinds).flatMap(([kind, [weight, draw]]) =>
  Array(weight).fill([kind, draw]),
);

/** A request, and what it should come to. */
export function drawRequest(random) {
  const [kind, draw] = random.of(drawn);
  return { kind, ...draw(random) };
}

/**
 * Sends a request and says how it ended: `done`, `gone`, `late`, `refused`, `busy`; what should not happen begins
 * with `error:`.
 */
export async function endOf(url, agent, request) {
  const { body, goneAfterMs, headers = {}, path, pauseMs = 0 } = request;
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve) => {
    const sent = httpRequest(
      url + path,
      {
        agent,
        method: text === undefined ? 'GET' : 'POST',
        headers: { ...headers, ...(text !== undefined && { 'content-type': 'application/json' }) },
      },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => {
          chunks.push(chunk);
          if (pauseMs === 0) return;
          response.pause();
          setTimeout(() => response.resume(), pauseMs);
        });
        response.on('error', (error) => resolve(isGone ? 'gone' : `error: ${error.message}`));
        response.on('end', () => {
          clearTimeout(timer);
          resolve(judge(request, response, Buffer.concat(chunks).toString('utf8')));
        });
      },
    );
    let isGone = false;
    const timer =
      goneAfterMs === undefined
        ? undefined
        : setTimeout(() => {
            isGone = true;
            sent.destroy();
            resolve('gone');
          }, goneAfterMs);
    sent.on('error', (error) => resolve(isGone ? 'gone' : `error: ${error.message}`));
    sent.end(text);
  });
}

function judge({ body, kind, path, refused, says }, { headers, statusCode }, text) {
  if (statusCode === 429) return 'busy';
  if (refused) return statusCode === 400 ? 'refused' : `error: ${statusCode} for a wrong request`;
  if (statusCode === 504)
    return kind === 'late' ? 'late' : 'error: a deadline that nobody asked for';
  if (statusCode !== 200) return `error: ${statusCode} ${text.slice(0, 200)}`;
  const isStream = headers['content-type']?.startsWith('text/event-stream') ?? false;
  if (!isStream) {
    if (path.startsWith('/v1/') && body !== undefined && says !== undefined) {
      const { content } = JSON.parse(text).choices[0].message;
      if (!content.includes(says)) return `error: a wrong answer, ${content.slice(0, 100)}`;
    }
    return 'done';
  }
  if (text.includes('"code":"timeout"'))
    return kind === 'late' ? 'late' : 'error: a deadline in a stream';
  if (text.includes('"error":{')) return `error: ${/"error":\{[^}]*\}/.exec(text)?.[0]}`;
  const isWhole = /\[DONE\]\s*$|event: (message_stop|response\.(completed|incomplete))/.test(text);
  if (!isWhole) return 'error: a stream that was cut';
  if (says === undefined) return 'done';
  const content = [...text.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)]
    .map(([, json]) => JSON.parse(json))
    .join('');
  return content.includes(says) ? 'done' : `error: a wrong answer, ${content.slice(0, 100)}`;
}
