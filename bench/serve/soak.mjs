// A server under random load for long: `node bench/serve/soak.mjs [--minutes M] [--clients N] [--seed S] [-- OPTIONS]`.
// OPTIONS are those of `flash-mla serve`. Clients of every kind ask the demo model at once. In the end no request may
// have failed, every page of the KV cache must be back, and memory must not have risen. Prints JSON.
import { Agent } from 'node:http';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { drawRequest, endOf, randomOf } from './random-load.mjs';
import { metricsOf, series, startServer, valueIn } from './server-process.mjs';
import { slopeOf } from './slope.mjs';

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '30' },
    clients: { type: 'string', default: '12' },
    seed: { type: 'string', default: '1' },
  },
});
const [minutes, clients, seed] = [flags.minutes, flags.clients, flags.seed].map(Number);
// A small cache, so that requests wait, are preempted, and pages of the prefix cache are given up.
const options = positionals.length > 0 ? positionals : ['--context', '8192', '--max-running', '16'];
// The heap tells something only where what is garbage does not count: each thread collects now and then.
const collect = 'data:text/javascript,setInterval(gc,10000).unref()';
const server = await startServer(options, ['--expose-gc', '--import', collect]);
const begin = performance.now();
const deadline = begin + minutes * 60e3;
const seconds = () => (performance.now() - begin) / 1e3;

const [ends, errors, kinds] = [{}, {}, {}];
const count = (in_, name) => {
  in_[name] = (in_[name] ?? 0) + 1;
};

async function client(number) {
  const random = randomOf(seed * 1000 + number);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (performance.now() < deadline && server.child.exitCode === null) {
    const request = drawRequest(random);
    const end = await endOf(server.url, agent, request);
    count(kinds, request.kind);
    count(ends, end.startsWith('error:') ? 'error' : end);
    if (end.startsWith('error:')) count(errors, `${request.kind} ${end}`.slice(0, 300));
    // Some come one after the other, some in bursts.
    if (random.below(4) === 0) await sleep(random.below(300));
  }
  agent.destroy();
}

const rss = [];
const heap = [];
const memory = async () => {
  const text = await metricsOf(server.url);
  rss.push([seconds(), valueIn(text, 'process_resident_memory_bytes')]);
  heap.push([seconds(), valueIn(text, 'nodejs_heap_size_used_bytes')]);
  return text;
};
async function watch() {
  while (performance.now() < deadline && server.child.exitCode === null) {
    await memory();
    await sleep(1000);
  }
}

await Promise.all([watch(), ...Array.from({ length: clients }, (_, i) => client(i))]);
// Requests whose clients have gone end within a few steps.
let text = await memory();
const idleBy = performance.now() + 10_000;
const isIdle = () =>
  valueIn(text, 'vllm:num_requests_running') === 0 &&
  valueIn(text, 'vllm:num_requests_waiting') === 0 &&
  valueIn(text, 'vllm:kv_cache_usage_perc') === 0;
while (!isIdle() && performance.now() < idleBy) {
  await sleep(100);
  text = await metricsOf(server.url);
}
const total = seconds();
// What is loaded on first use, and the caches that fill up, are behind the first third.
const settled = (points) => points.filter(([at]) => at > total / 3);
const summary = {
  options,
  ...{ clients, seed, seconds: Math.round(total) },
  requests: Object.values(ends).reduce((sum, each) => sum + each, 0),
  ...{ ends, kinds, errors },
  finishedReasons: series(text, 'vllm:request_success_total'),
  generatedTokens: valueIn(text, 'vllm:generation_tokens_total'),
  promptTokens: valueIn(text, 'vllm:prompt_tokens_total'),
  cachedTokens: valueIn(text, 'vllm:prefix_cache_hits_total'),
  preemptions: valueIn(text, 'vllm:num_preemptions_total'),
  atTheEnd: {
    running: valueIn(text, 'vllm:num_requests_running'),
    waiting: valueIn(text, 'vllm:num_requests_waiting'),
    /** Exactly 0 where every page is free. */
    shareOfPagesInUse: valueIn(text, 'vllm:kv_cache_usage_perc'),
  },
  residentBytes: slopeOf(settled(rss)),
  heapBytes: slopeOf(settled(heap)),
  exitCode: await server.stop(),
  machine: { node: process.versions.node, cpu: cpus()[0]?.model, cores: cpus().length },
  /** Every tenth of the time: seconds, resident bytes, heap in use. */
  course: Array.from({ length: 11 }, (_, i) => {
    const at = Math.min(rss.length - 1, Math.floor((i / 10) * rss.length));
    return [Math.round(rss[at][0]), rss[at][1], heap[at][1]];
  }),
};
/** Flat: a slope within three standard errors of nothing, or what it adds in the time measured below 2 %. */
const hours = ((2 / 3) * total) / 3600;
const isFlat = ({ errorPerHour, low, perHour }) =>
  perHour <= 3 * errorPerHour || perHour * hours <= low / 50;
const verdict = {
  noErrors: Object.keys(errors).length === 0,
  pagesExact: isIdle(),
  memoryFlat: isFlat(summary.residentBytes) && isFlat(summary.heapBytes),
  endedWell: summary.exitCode === 0,
};
console.log(JSON.stringify({ verdict, ...summary }, undefined, 1));
process.exitCode = Object.values(verdict).every(Boolean) ? 0 : 1;
