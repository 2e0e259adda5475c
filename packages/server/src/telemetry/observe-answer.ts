import type { RequestStats } from '@flash-mla/engine';
import type { GenerationEvent, GenerationRequest } from '../generate/request.ts';
import type { Metrics } from './metrics.ts';

/** Counts what happens to one answer. Times between tokens are taken here, the others by the engine. */
export class AnswerObserver {
  readonly #metrics: Metrics;
  readonly #arrivedAt: number;
  readonly #lastTokenAt = new Map<number, number>();

  /** @param arrivedAt by `performance.now`, before the prompt was cut into tokens */
  constructor(metrics: Metrics, arrivedAt: number, requests: readonly GenerationRequest[]) {
    this.#metrics = metrics;
    this.#arrivedAt = arrivedAt;
    const labels = metrics.labels();
    for (const { maxTokens, n, prompt } of requests) {
      metrics.promptTokens.inc(labels, prompt.length);
      metrics.requestPromptTokens.observe(labels, prompt.length);
      metrics.requestParamsN.observe(labels, n);
      if (maxTokens !== undefined) metrics.requestParamsMaxTokens.observe(labels, maxTokens);
    }
  }

  take(events: readonly GenerationEvent[]): void {
    const now = performance.now();
    for (const event of events) {
      if (event.kind === 'finish') this.#finish(event, now);
      else if (event.tokens.length > 0) this.#tokens(event.index, event.tokens.length, now);
    }
  }

  #tokens(index: number, count: number, now: number): void {
    const { generationTokens, interTokenLatency, timeToFirstToken } = this.#metrics;
    const labels = this.#metrics.labels();
    generationTokens.inc(labels, count);
    const before = this.#lastTokenAt.get(index);
    this.#lastTokenAt.set(index, now);
    if (before === undefined) timeToFirstToken.observe(labels, (now - this.#arrivedAt) / 1e3);
    else interTokenLatency.observe(labels, (now - before) / 1e3 / count);
  }

  #finish({ reason, stats }: Extract<GenerationEvent, { kind: 'finish' }>, now: number): void {
    const metrics = this.#metrics;
    const finished = { cancelled: 'abort', deadline: 'abort', calls: 'stop' } as const;
    const name =
      reason.kind in finished ? finished[reason.kind as keyof typeof finished] : reason.kind;
    metrics.success.inc(metrics.labels({ finished_reason: name }));
    metrics.endToEnd.observe(metrics.labels(), (now - this.#arrivedAt) / 1e3);
    metrics.requestGenerationTokens.observe(metrics.labels(), stats.outputTokens);
    this.#phases(stats);
  }

  #phases({
    arrivedAt,
    finishedAt,
    firstTokenAt,
    lastTokenAt,
    outputTokens,
    startedAt,
  }: RequestStats) {
    const metrics = this.#metrics;
    const labels = metrics.labels();
    if (startedAt === undefined || finishedAt === undefined) return;
    metrics.queueTime.observe(labels, (startedAt - arrivedAt) / 1e3);
    metrics.inferenceTime.observe(labels, (finishedAt - startedAt) / 1e3);
    if (firstTokenAt === undefined || lastTokenAt === undefined) return;
    metrics.prefillTime.observe(labels, (firstTokenAt - startedAt) / 1e3);
    metrics.decodeTime.observe(labels, (lastTokenAt - firstTokenAt) / 1e3);
    if (outputTokens > 1)
      metrics.timePerOutputToken.observe(
        labels,
        (lastTokenAt - firstTokenAt) / 1e3 / (outputTokens - 1),
      );
  }
}
