import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ApiError } from '../errors.ts';

/**
 * Who may use the server. Keys are compared by their hashes in constant time, all of them for each
 * request, so that neither a key nor which one it was can be told from the time.
 */
export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  constructor(keys: readonly string[]) {
    this.#hashes = keys.map(hash);
  }

  get isOpen(): boolean {
    return this.#hashes.length === 0;
  }

  /**
   * Names the key that a request brings, for fairness and limits: never the key itself.
   *
   * @throws ApiError 401 where it brings none that is known
   */
  tenantOf({ headers }: IncomingMessage): string {
    if (this.isOpen) return '';
    const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
    const header = headers['x-api-key'];
    const given = hash(bearer ?? (typeof header === 'string' ? header : ''));
    let found = -1;
    for (const [i, known] of this.#hashes.entries()) if (timingSafeEqual(given, known)) found = i;
    if (found >= 0) return `key-${found}`;
    throw new ApiError('The API key is missing or wrong.', {
      status: 401,
      type: 'authentication_error',
      code: 'invalid_api_key',
    });
  }
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
