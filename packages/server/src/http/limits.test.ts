import { request as httpRequest } from 'node:http';
import { describe, expect, it } from 'vitest';
import { ServerOptionError } from '../errors.ts';
import { resolveServerOptions } from '../options.ts';
import { serve } from '../testing/serve.ts';

const ask = (text: string, more: object = {}) => ({
  model: 'bytes',
  temperature: 0,
  messages: [{ role: 'user', content: text }],
  ...more,
});
const chat = '/v1/chat/completions';

describe('who may use the server', () => {
  it('is everybody on this machine, and nobody else without a key', () => {
    expect(resolveServerOptions({}).host).toBe('127.0.0.1');
    for (const host of ['0.0.0.0', '::', '192.168.1.2', 'example.org'])
      expect(() => resolveServerOptions({ host })).toThrow(ServerOptionError);
    expect(resolveServerOptions({ host: '0.0.0.0', apiKeys: ['k'] }).host).toBe('0.0.0.0');
    expect(resolveServerOptions({ host: '::', allowUnauthenticated: true }).host).toBe('::');
  });

  it('has to bring one of the keys', async () => {
    const served = await serve({ apiKeys: ['first-key', 'second-key'] });
    const status = async (headers: Record<string, string>, path = chat) => {
      const init = { headers: { 'content-type': 'application/json', ...headers } };
      return (await served.post(path, ask('say:x'), init)).status;
    };
    expect(await status({})).toBe(401);
    expect(await status({ authorization: 'Bearer wrong' })).toBe(401);
    expect(await status({ authorization: 'Bearer first-ke' })).toBe(401);
    expect(await status({ authorization: 'Basic first-key' })).toBe(401);
    expect(await status({ authorization: 'Bearer first-key' })).toBe(200);
    expect(await status({ 'x-api-key': 'second-key' })).toBe(200);
    expect(await status({}, '/tokenize')).toBe(401);
    const models = await fetch(`${served.url}/v1/models`);
    expect(models.status).toBe(401);
    expect(await models.json()).toMatchObject({ error: { code: 'invalid_api_key' } });
    for (const path of ['/health', '/health/live', '/health/ready', '/metrics', '/openapi.json'])
      expect((await fetch(served.url + path)).status).toBe(200);
  });

  it('are no pages of other origins, unless they are named', async () => {
    const origin = { headers: { origin: 'https://page.example' } };
    const closed = await serve();
    const answer = await fetch(`${closed.url}/v1/models`, origin);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const opened = await serve({ corsOrigins: ['https://page.example'] });
    const preflight = await fetch(opened.url + chat, {
      method: 'OPTIONS',
      headers: { ...origin.headers, 'access-control-request-method': 'POST' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://page.example');
    const allowed = await opened.post(chat, ask('say:x'), {
      headers: { ...origin.headers, 'content-type': 'application/json' },
    });
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://page.example');
    const other = await fetch(`${opened.url}/v1/models`, {
      headers: { origin: 'https://other.example' },
    });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('limits', () => {
  it('of bodies and their form', async () => {
    const served = await serve({ maxBodyBytes: 1000 });
    const status = async (body: BodyInit, type = 'application/json') => {
      const init = { body, headers: { 'content-type': type } };
      return (await served.post(chat, {}, init)).status;
    };
    expect(await status(JSON.stringify(ask('x'.repeat(2000))))).toBe(413);
    expect(await status('{}', 'text/plain')).toBe(415);
    expect(await status('{')).toBe(400);
    expect(await status('[]')).toBe(400);
    expect(await status('null')).toBe(400);
    expect(await status(`{"a":${'['.repeat(100)}${']'.repeat(100)}}`)).toBe(400);
    expect(await status(JSON.stringify(ask('say:x')))).toBe(200);
    // A body that does not say how long it is.
    const streamed = await new Promise<number | undefined>((resolve, reject) => {
      const options = { method: 'POST', headers: { 'content-type': 'application/json' } };
      const request = httpRequest(served.url + chat, options, (answer) =>
        resolve(answer.statusCode),
      );
      request.on('error', reject);
      for (let i = 0; i < 10; i++) request.write('x'.repeat(500));
      request.end();
    });
    expect(streamed).toBe(413);
  });

  it('of prompts: the context of the model', async () => {
    const served = await serve();
    const response = await served.post(chat, ask('x'.repeat(5000)));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'context_length_exceeded' } });
  });

  it('of the queue: 429, and when to come again', async () => {
    const served = await serve({}, { maxRunning: 1, maxQueuedRequests: 2 });
    served.runner.stepMs = 5;
    const all = await Promise.all(
      Array.from({ length: 12 }, () => served.post(chat, ask('say:x'.repeat(20)))),
    );
    const refused = all.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(all.filter(({ status }) => status === 200).length).toBe(12 - refused.length);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await refused[0]?.json()).toMatchObject({
      error: { type: 'rate_limit_error', code: 'server_overloaded' },
    });
  });

  it('of one key', async () => {
    const served = await serve({ maxConcurrentPerKey: 2 });
    served.runner.stepMs = 5;
    const all = await Promise.all(
      Array.from({ length: 5 }, () => served.post(chat, ask('say:abc'))),
    );
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429]);
    expect((await served.post(chat, ask('say:abc'))).status).toBe(200);
  });

  it('of time, as the client wants them', async () => {
    const served = await serve();
    served.runner.stepMs = 10;
    const headers = { 'content-type': 'application/json', 'x-request-timeout-ms': '40' };
    const slow = await served.post(chat, ask('say:'.padEnd(200, 'x')), { headers });
    expect(slow.status).toBe(504);
    expect(slow.headers.get('x-should-retry')).toBe('false');
    const wrong = { ...headers, 'x-request-timeout-ms': 'soon' };
    expect((await served.post(chat, ask('say:x'), { headers: wrong })).status).toBe(400);
    await served.idle();
  });
});

describe('every other route', () => {
  it('is answered in the form of an error', async () => {
    const served = await serve({ aliases: ['gpt-x'] });
    for (const path of ['/v1/embeddings', '/nothing', '/v1/models/none']) {
      const response = await fetch(served.url + path);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: { message: expect.any(String) } });
    }
    const list = await (await fetch(`${served.url}/v1/models`)).json();
    expect(list.data.map(({ id }: { id: string }) => id)).toEqual(['bytes', 'gpt-x']);
    expect((await fetch(`${served.url}/v1/models/gpt-x`)).status).toBe(200);
    expect((await served.post(chat, { ...ask('say:x'), model: 'gpt-x' })).status).toBe(200);
  });

  it('describes itself', async () => {
    const served = await serve();
    const description = await (await fetch(`${served.url}/openapi.json`)).json();
    expect(description.openapi).toBe('3.1.0');
    const { schema } = description.paths[chat].post.requestBody.content['application/json'];
    expect(schema.required).toEqual(expect.arrayContaining(['model', 'messages']));
    expect(schema.properties.temperature).toMatchObject({ type: 'number', minimum: 0 });
  });

  it('counts under the names of vLLM', async () => {
    const served = await serve();
    await (await served.post(chat, ask('say:hello', { n: 2 }))).json();
    await served.post(chat, { ...ask('x'), n: 0 });
    const text = await (await fetch(`${served.url}/metrics`)).text();
    const value = (series: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${series} `))
          ?.split(' ')[1],
      );
    const labels = '{model_name="bytes",engine="0"}';
    expect(value(`vllm:num_requests_running${labels}`)).toBe(0);
    expect(value(`vllm:num_requests_waiting${labels}`)).toBe(0);
    expect(value(`vllm:kv_cache_usage_perc${labels}`)).toBeLessThan(0.1);
    expect(value(`vllm:generation_tokens_total${labels}`)).toBe(12);
    expect(value(`vllm:time_to_first_token_seconds_count${labels}`)).toBe(2);
    expect(value(`vllm:inter_token_latency_seconds_count${labels}`)).toBe(10);
    expect(value(`vllm:e2e_request_latency_seconds_count${labels}`)).toBe(2);
    expect(
      value('vllm:request_success_total{model_name="bytes",engine="0",finished_reason="stop"}'),
    ).toBe(2);
    expect(value('vllm:cache_config_info{block_size="16",num_gpu_blocks="399",engine="0"}')).toBe(
      1,
    );
    expect(value(`http_requests_total{handler="${chat}",method="POST",status="200"}`)).toBe(1);
    expect(value(`http_requests_total{handler="${chat}",method="POST",status="400"}`)).toBe(1);
  });
});
