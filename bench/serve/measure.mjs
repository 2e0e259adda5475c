// What a server on the processor does with the demo model: `node bench/serve/measure.mjs`. Nothing else may run
// meanwhile. Prints JSON: time to be ready, processor time while idle, tokens per second by the number of streams, time
// to the first token of a prompt whose prefix is cached, and the delay of the thread that has the sockets.
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { metricsOf, startServer, valueIn } from './server-process.mjs';

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const round = (value, digits = 2) => Number(value.toFixed(digits));
/** Bursts of requests that are measured, so that a neighbour spoils one and not all. */
const repeats = 3;

/** Streams a completion; when its first and its last text came. */
async function complete(url, prompt, outputTokens) {
  const begin = performance.now();
  let first;
  let tokens = 0;
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ model: 'tales', prompt, max_tokens: outputTokens },
      ...{ ignore_eos: true, temperature: 0, stream: true },
      stream_options: { include_usage: true },
    }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    if (first === undefined && text.includes('"text":')) first = performance.now() - begin;
  }
  tokens = Number(/"completion_tokens":(\d+)/.exec(text)?.[1] ?? 0);
  return { firstMs: first, totalMs: performance.now() - begin, tokens };
}

let drawn = 1;
const token = () => {
  drawn = (Math.imul(drawn, 1103515245) + 12345) >>> 0;
  return 300 + ((drawn >>> 8) % 900);
};
const promptOf = (length) => Array.from({ length }, token);

async function burst(url, streams, outputTokens) {
  const begin = performance.now();
  const all = await Promise.all(
    Array.from({ length: streams }, () => complete(url, promptOf(16), outputTokens)),
  );
  const seconds = (performance.now() - begin) / 1e3;
  return all.reduce((sum, { tokens }) => sum + tokens, 0) / seconds;
}

const begin = performance.now();
const say = (what) => console.error(`${round((performance.now() - begin) / 1e3, 1)} s: ${what}`);

const readyMs = [];
for (let i = 0; i < repeats; i++) {
  const server = await startServer();
  readyMs.push(round(server.readyMs, 0));
  await server.stop();
}

say('starts are measured');
const server = await startServer(['--max-running', '64']);
const { url } = server;
await complete(url, promptOf(200), 32);
await burst(url, 16, 16);

const cpu = async () => valueIn(await metricsOf(url), 'process_cpu_seconds_total');
const idleSeconds = 10;
await sleep(1000);
const before = await cpu();
await sleep(idleSeconds * 1e3);
const idleShare = ((await cpu()) - before) / idleSeconds;

say('idle time is measured');
const tokensPerSecond = {};
for (const streams of [1, 4, 16, 64]) tokensPerSecond[streams] = [];
for (let i = 0; i < repeats; i++)
  for (const streams of [1, 4, 16, 64])
    tokensPerSecond[streams].push(await burst(url, streams, 64));

say('streams are measured');
const [uncached, cached] = [[], []];
for (let i = 0; i < 9; i++) {
  const prompt = promptOf(1000);
  uncached.push((await complete(url, prompt, 2)).firstMs);
  cached.push((await complete(url, prompt, 2)).firstMs);
}

say('first tokens are measured');
await metricsOf(url);
const lags = [];
for (let i = 0; i < repeats; i++) {
  await burst(url, 64, 96);
  lags.push(1e3 * valueIn(await metricsOf(url), 'mla:event_loop_lag_seconds'));
}
const rates = Object.fromEntries(
  Object.entries(tokensPerSecond).map(([streams, all]) => [streams, round(median(all), 1)]),
);
const exitCode = await server.stop();
console.log(
  JSON.stringify(
    {
      machine: { node: process.versions.node, cpu: cpus()[0]?.model, cores: cpus().length },
      readyMs,
      idleProcessorShare: round(idleShare, 4),
      tokensPerSecond: rates,
      gainOf16Streams: round(rates[16] / rates[1]),
      firstTokenMs: {
        promptTokens: 1000,
        uncached: round(median(uncached)),
        cached: round(median(cached)),
        ratio: round(median(cached) / median(uncached), 3),
      },
      eventLoopLagMs: { streams: 64, p99: lags.map((lag) => round(lag)) },
      exitCode,
    },
    undefined,
    1,
  ),
);
