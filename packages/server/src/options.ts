import type { Logger } from 'pino';
import { ServerOptionError } from './errors.ts';
import { createLogger } from './logger.ts';

/** Under which names clients look for thoughts: open models use both. */
export type ReasoningField = 'both' | 'reasoning' | 'reasoning_content' | 'none';

export interface ServerOptions {
  /** Default 127.0.0.1. Another one needs `apiKeys`, or `allowUnauthenticated`. */
  readonly host?: string;
  /** Default 8000; 0 takes a free one. */
  readonly port?: number;
  /** Clients have to bring one of these. Default none: everybody on this machine may ask. */
  readonly apiKeys?: readonly string[];
  /** Let others than this machine in without a key. Default false. */
  readonly allowUnauthenticated?: boolean;
  /** Pages of these origins may use the server; `*` stands for all. Default none. */
  readonly corsOrigins?: readonly string[];
  /** Further names under which the model may be asked for. */
  readonly aliases?: readonly string[];
  /** Default 32 MiB. */
  readonly maxBodyBytes?: number;
  /** Requests that one key may have at a time. Default: no limit. */
  readonly maxConcurrentPerKey?: number;
  /** What may wait for a slow reader before its request ends. Default 256 KiB. */
  readonly maxBufferedBytes?: number;
  /** Silence in a stream before a comment is sent. Default 10 000 ms. */
  readonly keepAliveMs?: number;
  /** Silence before a long answer that is not a stream sends its headers; 0 never. Default 30 000 ms. */
  readonly earlyHeadersMs?: number;
  /** How long running requests may go on when the server shuts down. Default 45 000 ms. */
  readonly shutdownTimeoutMs?: number;
  /** Refuse fields without effect instead of listing them in `x-ignored-params`. Default false. */
  readonly strictParams?: boolean;
  /** Default both. */
  readonly reasoningField?: ReasoningField;
  /** Show a page to chat on at `/`. Default true. */
  readonly chatPage?: boolean;
  /** Default: nothing but warnings and errors, to stderr. */
  readonly logger?: Logger;
}

export type ResolvedServerOptions = Required<ServerOptions>;

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/** @throws ServerOptionError for what cannot work, and for what would let everybody in unasked. */
export function resolveServerOptions(options: ServerOptions): ResolvedServerOptions {
  const resolved: ResolvedServerOptions = {
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 8000,
    apiKeys: options.apiKeys ?? [],
    allowUnauthenticated: options.allowUnauthenticated ?? false,
    corsOrigins: options.corsOrigins ?? [],
    aliases: options.aliases ?? [],
    maxBodyBytes: options.maxBodyBytes ?? 32 * 2 ** 20,
    maxConcurrentPerKey: options.maxConcurrentPerKey ?? Number.POSITIVE_INFINITY,
    maxBufferedBytes: options.maxBufferedBytes ?? 256 * 2 ** 10,
    keepAliveMs: options.keepAliveMs ?? 10_000,
    earlyHeadersMs: options.earlyHeadersMs ?? 30_000,
    shutdownTimeoutMs: options.shutdownTimeoutMs ?? 45_000,
    strictParams: options.strictParams ?? false,
    reasoningField: options.reasoningField ?? 'both',
    chatPage: options.chatPage ?? true,
    logger: options.logger ?? createLogger('warn'),
  };
  check(resolved);
  return resolved;
}

function check(options: ResolvedServerOptions): void {
  const { allowUnauthenticated, apiKeys, host, port } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw impossible('port', 'an integer from 0 to 65535', port);
  if (apiKeys.some((key) => !/^[\x21-\x7e]{1,512}$/.test(key)))
    throw impossible('apiKeys', 'keys of printable ASCII characters without blanks', 'another one');
  if (!loopback.test(host) && apiKeys.length === 0 && !allowUnauthenticated)
    throw new ServerOptionError({
      subject: `host ${host}`,
      expected: 'an API key, since others than this machine can reach it',
      actual: 'none',
      remedy: 'Set an API key, keep to 127.0.0.1, or say that everybody may come in.',
    });
  const positive = [
    'maxBodyBytes',
    'maxConcurrentPerKey',
    'maxBufferedBytes',
    'keepAliveMs',
    'shutdownTimeoutMs',
  ] as const;
  for (const name of positive)
    if (!(options[name] > 0)) throw impossible(name, 'a number above 0', options[name]);
  if (!(options.earlyHeadersMs >= 0))
    throw impossible('earlyHeadersMs', 'a number of at least 0', options.earlyHeadersMs);
}

function impossible(subject: string, expected: string, actual: unknown): ServerOptionError {
  const remedy = 'Change the option of the server.';
  return new ServerOptionError({ subject, expected, actual: String(actual), remedy });
}
