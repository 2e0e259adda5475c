import type { Measured } from './measure-request.ts';

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** A request is good when its first token and its tokens come in time. Milliseconds. */
export interface Objective {
  readonly firstToken: number;
  readonly interToken: number;
}

/** What a load has shown. Times are in milliseconds. */
export interface LoadSummary {
  readonly completed: number;
  readonly failed: number;
  /** Messages of failures, and how often each came. */
  readonly errors: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly requestsPerSecond: number;
  readonly outputTokensPerSecond: number;
  readonly timeToFirstToken: Percentiles;
  readonly interTokenLatency: Percentiles;
  readonly endToEnd: Percentiles;
  /** Good requests per second, and their share of all. */
  readonly goodput: { readonly perSecond: number; readonly share: number };
}

export function summarize(
  all: readonly Measured[],
  seconds: number,
  objective: Objective,
): LoadSummary {
  const good = all.filter(({ error }) => error === undefined);
  const sum = (count: (measured: Measured) => number) =>
    good.reduce((total, measured) => total + count(measured), 0);
  const errors: Record<string, number> = {};
  for (const { error } of all) if (error !== undefined) errors[error] = (errors[error] ?? 0) + 1;
  const inTime = good.filter(
    ({ firstToken, gaps }) =>
      firstToken <= objective.firstToken && percentile(gaps, 0.5) <= objective.interToken,
  );
  const outputTokens = sum((measured) => measured.outputTokens);
  return {
    completed: good.length,
    failed: all.length - good.length,
    errors,
    seconds,
    promptTokens: sum(({ promptTokens }) => promptTokens),
    cachedTokens: sum(({ cachedTokens }) => cachedTokens),
    outputTokens,
    requestsPerSecond: good.length / seconds,
    outputTokensPerSecond: outputTokens / seconds,
    timeToFirstToken: percentiles(good.map(({ firstToken }) => firstToken)),
    interTokenLatency: percentiles(good.flatMap(({ gaps }) => gaps)),
    endToEnd: percentiles(good.map(({ endToEnd }) => endToEnd)),
    goodput: { perSecond: inTime.length / seconds, share: inTime.length / Math.max(1, all.length) },
  };
}

function percentiles(values: readonly number[]): Percentiles {
  return {
    p50: percentile(values, 0.5),
    p90: percentile(values, 0.9),
    p99: percentile(values, 0.99),
  };
}

/** The smallest value that so large a share does not exceed; 0 of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
