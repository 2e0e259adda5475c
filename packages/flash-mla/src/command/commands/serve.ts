import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Server, ServerOptions } from '@flash-mla/server';
import { type Command, Option } from 'commander';
import { UsageError } from '../../ops/bench/usage-error.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../errors.ts';
import {
  addCacheDTypeOption,
  addDTypeAndDevice,
  addHiSparseOptions,
  demoModel,
  hiSparseOf,
  type ModelFlags,
  refuseCacheDType,
} from '../models/options.ts';
import { integer, list, number } from '../option-values.ts';
import { loadServer } from '../server-package.ts';
import { addNotes } from '../terminal/help.ts';

interface ServeFlags
  extends Pick<ModelFlags, 'device' | 'dtype' | 'kvCacheDtype' | 'hisparse' | 'hisparseConfig'> {
  readonly name?: string;
  readonly alias?: string[];
  readonly reasoningField: 'both' | 'reasoning' | 'reasoning_content' | 'none';
  readonly context?: number;
  readonly maxLength?: number;
  readonly prefixCache: boolean;
  readonly maxRunning: number;
  readonly targetStepMs: number;
  readonly deterministic?: boolean;
  readonly maxQueued: number;
  readonly maxQueuedTokens?: number;
  readonly maxPerKey?: number;
  readonly maxBody: number;
  readonly shutdownTimeout: number;
  readonly strictParams?: boolean;
  readonly host: string;
  readonly port: number;
  readonly apiKeyFile?: string;
  readonly allowUnauthenticated?: boolean;
  readonly cors?: string[];
  readonly chatPage: boolean;
  readonly logLevel: string;
}

export function define(command: Command): void {
  command
    .argument('[model]', `a Hugging Face folder or an installed package (default: ${demoModel})`)
    .optionsGroup('Model:');
  addHiSparseOptions(addCacheDTypeOption(addDTypeAndDevice(command, 'bf16')))
    .option('--name <name>', 'its name in requests (default: the last part of its path)')
    .option('--alias <names>', 'further names', list)
    .addOption(
      new Option('--reasoning-field <field>', 'where clients find thoughts')
        .choices(['both', 'reasoning', 'reasoning_content', 'none'])
        .default('both'),
    )
    .optionsGroup('Memory:')
    .option(
      '--context <n>',
      'tokens that the cache holds, of all sequences (default: four of the longest)',
      integer(2, 2 ** 26),
    )
    .option('--max-length <n>', 'tokens of the longest sequence', integer(2, 2 ** 26))
    .option('--no-prefix-cache', 'compute every prompt whole')
    .optionsGroup('Batching:')
    .option('--max-running <n>', 'sequences that are computed together', integer(1, 4096), 32)
    .option(
      '--target-step-ms <ms>',
      'how long a step with prompts should take',
      number(1, 60_000),
      60,
    )
    .option('--deterministic', 'answers do not depend on what else is computed; needs --dtype f32')
    .optionsGroup('Limits:')
    .option('--max-queued <n>', 'sequences that may wait', integer(1), 1024)
    .option('--max-queued-tokens <n>', 'tokens of prompts that may wait', integer(1))
    .option('--max-per-key <n>', 'requests of one key at a time', integer(1))
    .option('--max-body <bytes>', 'of a request', integer(1), 32 * 2 ** 20)
    .option(
      '--shutdown-timeout <s>',
      'seconds that running requests have',
      number(0.001, 86_400),
      45,
    )
    .option('--strict-params', 'refuse fields without effect')
    .optionsGroup('Network:')
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--port <port>', '0 takes a free one', integer(0, 65_535), 8000)
    .option('--api-key-file <file>', 'a key in each line; clients have to bring one')
    .option('--allow-unauthenticated', 'let other machines in without a key')
    .option('--cors <origins>', 'pages of these origins may use the server', list)
    .option('--no-chat-page', 'no page at /')
    .optionsGroup('Output:')
    .addOption(
      new Option('--log-level <level>', 'of JSON lines on stderr')
        .choices(['silent', 'error', 'warn', 'info', 'debug'])
        .default('warn'),
    );
  addNotes(command, [
    'FLASH_MLA_API_KEY is one more key. SIGTERM lets running requests end and refuses new ones; a second ' +
      'one, and Ctrl-C, end at once.',
  ]);
}

export async function run(command: Command, context: CommandContext): Promise<number> {
  const flags = command.opts<ServeFlags>();
  const model = command.args[0] ?? demoModel;
  const { createEngine, createLogger, resolveServerOptions, Server } = await loadServer();
  const logger = createLogger(flags.logLevel);
  // What is wrong with the command line is said before a model is loaded.
  const options = resolveServerOptions({ ...serverOptions(flags, await keysOf(flags)), logger });
  const { maxQueuedTokens } = flags;
  const engine = await createEngine(model, {
    ...(flags.name !== undefined && { name: flags.name }),
    ...(flags.context !== undefined && { maxTokens: flags.context }),
    ...(flags.maxLength !== undefined && { maxModelLength: flags.maxLength }),
    maxRunning: flags.maxRunning,
    hisparse: hiSparseOf(flags),
    ...operationsFor(flags),
    engine: {
      prefixCache: flags.prefixCache,
      targetStepMs: flags.targetStepMs,
      deterministic: flags.deterministic ?? false,
      maxQueuedRequests: flags.maxQueued,
      ...(maxQueuedTokens !== undefined && { maxQueuedTokens }),
    },
  });
  const server = new Server(engine, options);
  context.onExit(() => server.close(1));
  const url = await server.listen();
  context.log(
    `${engine.model.id} is ready: ${url} to chat, ${url}/v1 for clients of OpenAI's API.`,
  );
  return waitFor(server, engine.stopped, context);
}

/** What the model is computed with, in the engine's thread. */
export function operationsFor({
  device,
  dtype,
  kvCacheDtype,
}: Pick<ModelFlags, 'device' | 'dtype' | 'kvCacheDtype'>) {
  if (dtype === 'f32') {
    refuseCacheDType(kvCacheDtype);
    if (device === 'auto' || device === 'cpu') return {};
    throw new UsageError(`--device ${device}: --dtype f32 runs on the processor only.`);
  }
  const options = {
    device: device === 'auto' ? 'cpu' : device,
    ...(kvCacheDtype && { kvCacheDType: kvCacheDtype }),
  };
  return { operations: { module: import.meta.resolve('flash-mla/models'), options } };
}

/** Until somebody ends the server, or the engine has failed for good. */
async function waitFor(
  server: Server,
  stopped: Promise<Error>,
  { log, signal }: CommandContext,
): Promise<number> {
  const terminated = once(process, 'SIGTERM').then(() => undefined);
  const aborted = once(signal, 'abort').then(() => undefined);
  const failure = await Promise.race([terminated, aborted, stopped]);
  if (failure !== undefined) {
    log(`error: the engine has stopped: ${failure.message}`);
    await server.close(1);
    return exitCodes.failed;
  }
  if (signal.aborted) return exitCodes.interrupted;
  log('Waiting for running requests to end …');
  const second = once(process, 'SIGTERM').then(() => server.abort());
  await Promise.race([server.close(), second]);
  return exitCodes.ok;
}

function serverOptions(flags: ServeFlags, apiKeys: readonly string[]): ServerOptions {
  const { alias, cors, maxPerKey } = flags;
  return {
    host: flags.host,
    port: flags.port,
    apiKeys,
    allowUnauthenticated: flags.allowUnauthenticated ?? false,
    chatPage: flags.chatPage,
    maxBodyBytes: flags.maxBody,
    shutdownTimeoutMs: flags.shutdownTimeout * 1e3,
    strictParams: flags.strictParams ?? false,
    reasoningField: flags.reasoningField,
    ...(alias && { aliases: alias }),
    ...(cors && { corsOrigins: cors }),
    ...(maxPerKey !== undefined && { maxConcurrentPerKey: maxPerKey }),
  };
}

/** Keys are never given as words of the command line, which other users of the machine can read. */
async function keysOf({ apiKeyFile }: ServeFlags): Promise<string[]> {
  const text = apiKeyFile === undefined ? '' : await readFile(apiKeyFile, 'utf8');
  const lines = text.split('\n').map((line) => line.trim());
  return [...lines, process.env.FLASH_MLA_API_KEY ?? ''].filter((key) => key !== '');
}
