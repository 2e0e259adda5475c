import type { LoadKind, LoadSummary, Percentiles } from '@flash-mla/server';
import { type Command, Option } from 'commander';
import { significant } from '../../ops/bench/numbers.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import { writeTextFile } from '../files.ts';
import { jsonText } from '../json.ts';
import { demoModel } from '../models/options.ts';
import { integer, number } from '../option-values.ts';
import { loadServer } from '../server-package.ts';
import { addNotes } from '../terminal/help.ts';
import { startProgress } from '../terminal/progress.ts';
import { operationsFor } from './serve.ts';

interface ServeBenchFlags {
  readonly url?: string;
  readonly model?: string;
  readonly load: LoadKind;
  readonly requests: number;
  readonly rate?: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly seed: number;
  readonly firstTokenMs: number;
  readonly interTokenMs: number;
  readonly json?: string | true;
}

export function define(command: Command): void {
  command
    .optionsGroup('Server:')
    .option('--url <url>', 'a server that runs, without /v1 (default: one is started here)')
    .option('--model <model>', `to start, or its name at --url (default: ${demoModel})`)
    .optionsGroup('Load:')
    .addOption(
      new Option('--load <kind>', 'which prompts')
        .choices(['fixed', 'shared-prefix', 'multi-turn'])
        .default('fixed'),
    )
    .option('--requests <n>', 'how many', integer(1, 1e6), 32)
    .option(
      '--rate <r>',
      'sessions that begin each second (default: all at once)',
      number(1e-3, 1e6),
    )
    .option('--prompt-tokens <n>', 'of a request', integer(4, 1e6), 128)
    .option('--output-tokens <n>', 'of an answer', integer(1, 1e6), 32)
    .option('--seed <n>', 'of the load', integer(0), 1)
    .optionsGroup('Objective:')
    .option(
      '--first-token-ms <ms>',
      'a good request has its first token by then',
      number(0, 1e9),
      1000,
    )
    .option('--inter-token-ms <ms>', 'and half of its others so soon', number(0, 1e9), 100)
    .optionsGroup('Output:')
    .option('--json [file]', 'results as JSON to a file, or alone on stdout');
  addNotes(command, [
    'Sessions arrive as by chance (Poisson). shared-prefix: 8 requests each begin with the same 80 % of their ' +
      'prompts. multi-turn: sessions of 4 requests, each with the conversation so far. Answers go on to their ' +
      'full length. FLASH_MLA_API_KEY is sent as the key.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<ServeBenchFlags>();
  const { benchServer } = await loadServer();
  const { model, seed } = flags;
  const { signal } = context;
  const url = flags.url?.replace(/\/(v1\/?)?$/, '') ?? (await startServer(model, context));
  const progress = startProgress(context.progress);
  context.onExit(() => progress.stop());
  const apiKey = process.env.FLASH_MLA_API_KEY;
  const rate = flags.rate ?? Number.POSITIVE_INFINITY;
  const summary = await benchServer({
    url,
    kind: flags.load,
    requests: flags.requests,
    promptTokens: flags.promptTokens,
    outputTokens: flags.outputTokens,
    seed,
    rate,
    objective: { firstToken: flags.firstTokenMs, interToken: flags.interTokenMs },
    signal,
    onProgress: (done, total) => progress.update(done, total, 'requests'),
    ...(flags.url !== undefined && model !== undefined && { model }),
    ...(apiKey && { apiKey }),
  });
  progress.stop();
  const { firstTokenMs, interTokenMs, load, outputTokens, promptTokens, requests } = flags;
  const options = { load, requests, rate: flags.rate ?? null, promptTokens, outputTokens, seed };
  const json = jsonText({ ...options, firstTokenMs, interTokenMs, ...summary });
  if (typeof flags.json === 'string') await writeTextFile(flags.json, json);
  context.write(flags.json === true ? json : summaryText(summary));
  return summary.completed > 0 ? exitCodes.ok : exitCodes.failed;
}

async function startServer(model = demoModel, context: CommandContext): Promise<string> {
  const { createEngine, createLogger, Server } = await loadServer();
  const logger = createLogger('silent');
  const operations = operationsFor({ device: 'auto', dtype: 'bf16' });
  const server = new Server(await createEngine(model, operations), { port: 0, logger });
  context.onExit(() => server.close(1));
  return server.listen();
}

function summaryText(summary: LoadSummary): string {
  const { completed, failed, goodput, seconds } = summary;
  const times = (name: string, { p50, p90, p99 }: Percentiles) =>
    `${name.padEnd(22)}${[p50, p90, p99].map((ms) => `${significant(ms)} ms`.padStart(12)).join('')}\n`;
  const counts = Object.entries(summary.errors).map(([error, count]) => `  ${count} × ${error}\n`);
  return [
    `${completed} requests in ${significant(seconds)} s, ${failed} failed\n`,
    ...counts,
    `${significant(summary.requestsPerSecond)} requests/s, `,
    `${significant(summary.outputTokensPerSecond)} output tokens/s, `,
    `${summary.cachedTokens} of ${summary.promptTokens} prompt tokens cached\n`,
    `good: ${significant(goodput.perSecond)} requests/s, ${(100 * goodput.share).toFixed(0)} %\n`,
    `${''.padEnd(22)}${['p50', 'p90', 'p99'].map((name) => name.padStart(12)).join('')}\n`,
    times('time to first token', summary.timeToFirstToken),
    times('inter-token latency', summary.interTokenLatency),
    times('end to end', summary.endToEnd),
  ].join('');
}
