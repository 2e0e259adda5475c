import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { EngineStats } from '@flash-mla/engine';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { TextEngine } from '../generate/text-engine.ts';
import { buckets } from './buckets.ts';

/** How often the event loop is looked at, in milliseconds: each look wakes a server that has nothing to do. */
const loopInterval = 20;

/**
 * What the server counts, under vLLM's names, so that dashboards and gateways work with it unchanged; what
 * only this server has begins with `mla:`.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #labels: Record<string, string>;
  readonly #loopDelay = monitorEventLoopDelay({ resolution: loopInterval });

  readonly promptTokens = this.#counter('vllm:prompt_tokens_total', 'Tokens of prompts.');
  readonly generationTokens = this.#counter('vllm:generation_tokens_total', 'Tokens generated.');
  readonly success = this.#counter('vllm:request_success_total', 'Choices that have ended.', [
    'finished_reason',
  ]);
  readonly timeToFirstToken = this.#histogram(
    'vllm:time_to_first_token_seconds',
    'From arrival to the first token.',
    buckets.firstToken,
  );
  readonly interTokenLatency = this.#histogram(
    'vllm:inter_token_latency_seconds',
    'Between tokens.',
    buckets.interToken,
  );
  readonly timePerOutputToken = this.#histogram(
    'vllm:request_time_per_output_token_seconds',
    'Of a choice, the mean time between tokens.',
    buckets.interToken,
  );
  readonly endToEnd = this.#histogram(
    'vllm:e2e_request_latency_seconds',
    'From arrival to the end.',
    buckets.request,
  );
  readonly queueTime = this.#histogram(
    'vllm:request_queue_time_seconds',
    'In the queue.',
    buckets.request,
  );
  readonly inferenceTime = this.#histogram(
    'vllm:request_inference_time_seconds',
    'From the queue to the end.',
    buckets.request,
  );
  readonly prefillTime = this.#histogram(
    'vllm:request_prefill_time_seconds',
    'From the queue to the first token.',
    buckets.request,
  );
  readonly decodeTime = this.#histogram(
    'vllm:request_decode_time_seconds',
    'From the first token to the last.',
    buckets.request,
  );
  readonly requestPromptTokens = this.#histogram(
    'vllm:request_prompt_tokens',
    'Tokens of a prompt.',
    buckets.tokens,
  );
  readonly requestGenerationTokens = this.#histogram(
    'vllm:request_generation_tokens',
    'Tokens of a choice.',
    buckets.tokens,
  );
  readonly requestParamsN = this.#histogram(
    'vllm:request_params_n',
    'Choices asked for.',
    [1, 2, 5, 10, 20],
  );
  readonly requestParamsMaxTokens = this.#histogram(
    'vllm:request_params_max_tokens',
    'Tokens asked for at most.',
    buckets.tokens,
  );
  readonly httpRequests = new Counter({
    name: 'http_requests_total',
    help: 'Answers by route and status.',
    labelNames: ['handler', 'method', 'status'],
    registers: [this.registry],
  });
  readonly rejected = this.#counter('mla:rejected_total', 'Requests that were refused.', [
    'reason',
  ]);
  readonly aborted = this.#counter('mla:aborts_total', 'Requests whose client went away.', [
    'reason',
  ]);

  constructor(modelName: string, engine: TextEngine) {
    this.#labels = { model_name: modelName, engine: '0' };
    const stats = () => engine.stats();
    this.#gauge('vllm:num_requests_running', 'Sequences that run.', () => stats().running);
    this.#gauge('vllm:num_requests_waiting', 'Sequences that wait.', () => stats().waiting);
    this.#gauge('vllm:kv_cache_usage_perc', 'Share of the KV cache in use, 0 to 1.', () => {
      const { free, total } = stats().pages;
      return 1 - free / total;
    });
    this.#total('vllm:num_preemptions_total', 'Preemptions.', () => stats().preemptions);
    this.#total(
      'vllm:prefix_cache_queries_total',
      'Tokens looked for in the prefix cache.',
      () => stats().prefixCacheQueries,
    );
    this.#total(
      'vllm:prefix_cache_hits_total',
      'Tokens found in the prefix cache.',
      () => stats().prefixCacheHits,
    );
    this.#total(
      'mla:wasted_tokens_total',
      'Tokens sampled and dropped.',
      () => stats().wastedTokens,
    );
    if (stats().hisparse !== undefined) this.#observeHiSparse(() => stats().hisparse);
    const { total } = stats().pages;
    new Gauge({
      name: 'vllm:cache_config_info',
      help: 'The KV cache.',
      labelNames: ['block_size', 'num_gpu_blocks', 'engine'],
      registers: [this.registry],
    }).set(
      { block_size: String(stats().pages.size), num_gpu_blocks: String(total), engine: '0' },
      1,
    );
    this.#observeProcess();
    this.#loopDelay.enable();
    this.#gauge(
      'mla:event_loop_lag_seconds',
      'How late timers are: p99 since the last look.',
      () => {
        // What is recorded are the times between two looks, each of which should be one interval.
        const p99 = (this.#loopDelay.percentile(99) / 1e6 - loopInterval) / 1e3;
        this.#loopDelay.reset();
        return Number.isFinite(p99) ? Math.max(0, p99) : 0;
      },
    );
  }

  /** Under the names that Prometheus clients give them, without labels. */
  #observeProcess(): void {
    const registers = [this.registry];
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Memory of the process, of all its threads.',
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
    new Gauge({
      name: 'nodejs_heap_size_used_bytes',
      help: 'Heap in use by the thread of the sockets.',
      registers,
      collect() {
        this.set(process.memoryUsage().heapUsed);
      },
    });
    new Counter({
      name: 'process_cpu_seconds_total',
      help: 'Processor time of the process, of all its threads.',
      registers,
      collect() {
        const { system, user } = process.cpuUsage();
        this.reset();
        this.inc((system + user) / 1e6);
      },
    });
  }

  #observeHiSparse(stats: () => EngineStats['hisparse']): void {
    const share = (of: 'device' | 'host') => () => {
      const { usedTokens = 0, totalTokens = 1 } = stats()?.[of] ?? {};
      return usedTokens / totalTokens;
    };
    this.#gauge(
      'mla:hisparse_device_usage_perc',
      'Share of the device pool in use, 0 to 1.',
      share('device'),
    );
    this.#gauge(
      'mla:hisparse_host_usage_perc',
      'Share of the host pool in use, 0 to 1.',
      share('host'),
    );
    this.#gauge(
      'mla:hisparse_requests_staging',
      'Requests whose prompts are copied to the host.',
      () => stats()?.staging ?? 0,
    );
    this.#total(
      'mla:hisparse_hits_total',
      'Chosen tokens that were in hot buffers.',
      () => stats()?.hits ?? 0,
    );
    this.#total(
      'mla:hisparse_misses_total',
      'Chosen tokens that were copied from the host.',
      () => stats()?.misses ?? 0,
    );
    this.#total(
      'mla:hisparse_swapped_in_bytes_total',
      'Bytes copied from the host for them.',
      () => stats()?.bytesSwappedIn ?? 0,
    );
  }

  /** Labels of every series of the engine, with further ones. */
  labels(more: Record<string, string> = {}): Record<string, string> {
    return { ...this.#labels, ...more };
  }

  close(): void {
    this.#loopDelay.disable();
  }

  #counter(name: string, help: string, more: string[] = []): Counter {
    const labelNames = ['model_name', 'engine', ...more];
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, bounds: number[]): Histogram {
    const labelNames = ['model_name', 'engine'];
    return new Histogram({ name, help, labelNames, buckets: bounds, registers: [this.registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    const labels = this.#labels;
    new Gauge({
      name,
      help,
      labelNames: Object.keys(labels),
      registers: [this.registry],
      collect() {
        this.set(labels, read());
      },
    });
  }

  /** A counter that the engine keeps. */
  #total(name: string, help: string, read: () => number): void {
    const labels = this.#labels;
    new Counter({
      name,
      help,
      labelNames: Object.keys(labels),
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(labels, read());
      },
    });
  }
}
