import { badRequest } from '../errors.ts';
import type { Exchange } from '../http/exchange.ts';
import type { EarlyHeaders } from '../http/json-answer.ts';
import type { ResolvedServerOptions } from '../options.ts';

/** How long the client wants to wait at most: the header `x-request-timeout-ms`. */
export function timeoutOf({ request }: Exchange): number | undefined {
  const header = request.headers['x-request-timeout-ms'];
  if (header === undefined) return undefined;
  const value = Number(header);
  if (value > 0 && Number.isFinite(value)) return value;
  throw badRequest('x-request-timeout-ms has to be a number above 0.', 'x-request-timeout-ms');
}

export function earlyHeaders({ earlyHeadersMs, keepAliveMs }: ResolvedServerOptions) {
  const early: EarlyHeaders = { afterMs: earlyHeadersMs, everyMs: keepAliveMs };
  return earlyHeadersMs > 0 ? early : undefined;
}
