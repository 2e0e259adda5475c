import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { eventsOf, serve } from '../testing/serve.ts';

const chat = '/v1/chat/completions';
const ask = (text: string, more: object = {}) => ({
  model: 'bytes',
  temperature: 0,
  messages: [{ role: 'user', content: text }],
  ...more,
});
const long = `say:${'x'.repeat(1500)}`;

describe('a client that goes away', () => {
  it.each([true, false])('ends its request, stream %s', async (stream) => {
    const served = await serve();
    served.runner.stepMs = 2;
    for (const after of [0, 10, 30]) {
      const abort = new AbortController();
      const answer = served.post(chat, ask(long, { stream }), {
        headers: { 'content-type': 'application/json' },
        signal: abort.signal,
      });
      setTimeout(() => abort.abort(), after);
      await expect(answer.then((response) => response.text())).rejects.toThrow();
      await served.idle();
    }
    expect(served.engine.stats().outputTokens).toBeLessThan(500);
  });

  it('may never send its body whole', async () => {
    const served = await serve();
    const { port } = new URL(served.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(
      `POST ${chat} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{`,
    );
    await new Promise((resolve) => setTimeout(resolve, 30));
    socket.destroy();
    await served.idle();
    expect((await served.post(chat, ask('say:x'))).status).toBe(200);
  });

  it('or reads too slowly to be waited for', async () => {
    const served = await serve({ maxBufferedBytes: 10_000 });
    const { port } = new URL(served.url);
    const sockets = Array.from({ length: 3 }, () => {
      const socket = connect(Number(port), '127.0.0.1');
      const body = JSON.stringify(
        ask(`say:${'y'.repeat(400)}`, { n: 8, stream: true, logprobs: true, top_logprobs: 20 }),
      );
      socket.pause();
      socket.on('error', () => {});
      socket.write(
        `POST ${chat} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      return socket;
    });
    await expect
      .poll(() => served.engine.stats().running + served.engine.stats().waiting, {
        timeout: 10_000,
      })
      .toBeGreaterThan(0);
    // Others are served meanwhile, and in the end nobody is left.
    expect((await served.post(chat, ask('say:x'))).status).toBe(200);
    await expect
      .poll(() => served.engine.stats().finished.cancelled, { timeout: 30_000 })
      .toBeGreaterThan(0);
    for (const socket of sockets) socket.destroy();
    await served.idle();
  });
});

describe('a device that fails', () => {
  it('ends a stream with an error event, and an answer with 500', async () => {
    const served = await serve();
    const whole = served.post(chat, ask(long));
    await expect.poll(() => served.engine.stats().outputTokens).toBeGreaterThan(3);
    served.runner.failures = 1;
    const failed = await whole;
    expect(failed.status).toBe(500);
    const { error } = await failed.json();
    expect(error).toMatchObject({ type: 'server_error', code: 'internal_error' });
    expect(error.message).not.toContain('device');

    const stream = served.post(chat, ask(long, { stream: true }));
    await expect.poll(() => served.engine.stats().running).toBe(1);
    served.runner.failures = 1;
    const events = await eventsOf(await stream);
    expect(events.at(-2)).toMatchObject({ error: { code: 'internal_error' } });
    expect(events.at(-1)).toBe('[DONE]');
    expect((await served.post(chat, ask('say:fine'))).status).toBe(200);
    await served.idle();
  });

  it('for good makes the server say that it is not ready', async () => {
    const served = await serve({}, { maxFailures: 1 });
    served.runner.failures = 1;
    expect((await served.post(chat, ask('say:x'))).status).toBe(500);
    const response = await served.post(chat, ask('say:x'));
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: 'not_ready' } });
    await expect(served.engine.stopped).resolves.toBeInstanceOf(Error);
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(503);
  });
});

describe('a server that shuts down', () => {
  it('lets running requests end and takes no new ones', async () => {
    const served = await serve();
    served.runner.stepMs = 3;
    const running = served.post(chat, ask('say:the whole answer', { stream: true }));
    await expect.poll(() => served.engine.stats().outputTokens).toBeGreaterThan(0);
    const closed = served.server.close();
    const late = await served.post(chat, ask('say:x'));
    expect(late.status).toBe(503);
    expect(late.headers.get('retry-after')).toBe('5');
    expect((await fetch(`${served.url}/health/ready`)).status).toBe(503);
    expect((await fetch(`${served.url}/health/live`)).status).toBe(200);
    const events = await eventsOf(await running);
    expect(JSON.stringify(events)).toContain('"finish_reason":"stop"');
    await closed;
    await expect(fetch(`${served.url}/health/live`)).rejects.toThrow();
  });

  it('ends those that take too long with an error', async () => {
    const served = await serve();
    served.runner.stepMs = 3;
    const running = served.post(chat, ask(long, { stream: true }));
    await expect.poll(() => served.engine.stats().outputTokens).toBeGreaterThan(0);
    await served.server.close(20);
    const events = await eventsOf(await running);
    expect(events.at(-2)).toMatchObject({ error: { code: 'cancelled' } });
  });
});

describe('silence', () => {
  it('is filled with comments in streams and with blanks in long answers', async () => {
    const served = await serve({ keepAliveMs: 20, earlyHeadersMs: 20 });
    served.runner.stepMs = 60;
    const stream = await (await served.post(chat, ask('say:ab', { stream: true }))).text();
    expect(stream).toContain(': keep-alive\n\n');
    const whole = await served.post(chat, ask('say:ab'));
    const text = await whole.text();
    expect(text).toMatch(/^\n+\{/);
    expect(JSON.parse(text).choices[0].message.content).toBe('ab');
  });
});

describe('malformed requests', () => {
  it('are never answered with a 5xx, and leave nothing behind', async () => {
    const served = await serve();
    const values: unknown[] = [
      null,
      -1,
      1e99,
      '',
      'x',
      [],
      {},
      [[]],
      [null],
      true,
      '\u0000',
      { a: { b: [1] } },
    ];
    const fields = [
      'messages',
      'model',
      'n',
      'stop',
      'logit_bias',
      'tools',
      'tool_choice',
      'response_format',
      'stream_options',
      'temperature',
      'seed',
      'max_tokens',
      'chat_template_kwargs',
      'prompt',
      '__proto__',
      'constructor',
    ];
    const statuses = new Set<number>();
    for (const path of [chat, '/v1/completions', '/tokenize', '/detokenize'])
      for (const field of fields)
        for (const value of values) {
          const body = { ...ask('say:x'), max_tokens: 2, prompt: 'x', tokens: [1] };
          const text = JSON.stringify({ ...body, placeholder: 0 }).replace(
            '"placeholder":0',
            `${JSON.stringify(field)}:${JSON.stringify(value)}`,
          );
          const response = await served.post(
            path,
            {},
            { body: text, headers: { 'content-type': 'application/json' } },
          );
          await response.text();
          statuses.add(response.status);
        }
    expect([...statuses].filter((status) => ![200, 400, 404].includes(status))).toEqual([]);
    await served.idle();
  });
});
