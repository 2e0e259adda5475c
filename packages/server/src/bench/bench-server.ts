import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from '../errors.ts';
import { type LoadOptions, makeLoad, poissonArrivals, type Session } from './load.ts';
import { type Measured, measureRequest, type Target } from './measure-request.ts';
import { type LoadSummary, type Objective, summarize } from './summary.ts';

export interface BenchServerOptions extends LoadOptions {
  /** Without `/v1`. */
  readonly url: string;
  /** Default: the first that the server lists. */
  readonly model?: string;
  readonly apiKey?: string;
  /** Sessions that begin each second; Infinity begins all at once. */
  readonly rate: number;
  readonly objective: Objective;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Words whose tokens make the prompts. */
const words =
  'river mountain winter story between seven garden because window never little bridge under music ' +
  'paper morning yellow traveller quickly stone forest always table letter silver ocean count house';

/**
 * Sends a load to a server of this kind and measures it from outside.
 *
 * @throws ApiError where the server does not answer as one of this kind
 */
export async function benchServer(options: BenchServerOptions): Promise<LoadSummary> {
  const { apiKey, objective, onProgress, outputTokens, rate, requests, seed, url } = options;
  const signal = options.signal ?? new AbortController().signal;
  const headers = {
    'content-type': 'application/json',
    ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
  };
  const model =
    options.model ?? (await getJson(`${url}/v1/models`, { headers, signal })).data?.[0]?.id ?? '';
  const body = JSON.stringify({ prompt: words, add_special_tokens: false });
  const { tokens = [] } = await getJson(`${url}/tokenize`, {
    method: 'POST',
    headers,
    body,
    signal,
  });
  const load = makeLoad(options, tokens);
  const arrivals = poissonArrivals(load.length, rate, seed);
  const target = { url, model, apiKey };
  const begin = performance.now();
  let done = 0;
  const run = async (session: Session, at: number) => {
    await sleep(at, undefined, { signal });
    return runSession(target, session, outputTokens, signal, () => onProgress?.(++done, requests));
  };
  const all = await Promise.all(load.map((session, i) => run(session, arrivals[i] ?? 0)));
  return summarize(all.flat(), (performance.now() - begin) / 1e3, objective);
}

async function runSession(
  target: Target,
  session: Session,
  outputTokens: number,
  signal: AbortSignal,
  onDone: () => void,
): Promise<Measured[]> {
  const all: Measured[] = [];
  for (const prompt of session) {
    all.push(await measureRequest(target, prompt, outputTokens, signal));
    signal.throwIfAborted();
    onDone();
  }
  return all;
}

interface Answer {
  readonly data?: readonly { readonly id: string }[];
  readonly tokens?: readonly number[];
}

async function getJson(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, init).catch((cause: unknown) => {
    init.signal?.throwIfAborted();
    throw new ApiError(`${url} does not answer: no server runs there.`, { status: 503, cause });
  });
  if (response.ok) return (await response.json()) as Answer;
  const { status } = response;
  throw new ApiError(`${url} answered ${status}: no server of this kind, or a missing key.`, {
    status,
  });
}
