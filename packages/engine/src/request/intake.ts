import { InvalidRequestError, QueueFullError, RequestTooLongError } from '../errors.ts';
import { PageKeys, rootKey } from '../kv-cache/page-key.ts';
import type { ResolvedOptions } from '../options.ts';
import type { Lifecycle } from '../scheduler/lifecycle.ts';
import { checkRequest, type RequestOptions } from './options.ts';
import { Request } from './request.ts';

/** Turns a caller's request into one sequence for each choice, or refuses it. */
export class Intake {
  readonly #options: ResolvedOptions;
  readonly #requests: Lifecycle;
  #numArrived = 0;

  constructor(options: ResolvedOptions, requests: Lifecycle) {
    this.#options = options;
    this.#requests = requests;
  }

  /** @throws InvalidRequestError, RequestTooLongError, QueueFullError; nothing has changed then. */
  take(options: RequestOptions, now: number): void {
    checkRequest(options);
    this.#checkId(options.id);
    this.#checkLength(options);
    this.#checkQueue(options);
    const { maxModelLength: maxLength, model, pageSize, prefixCache } = this.#options;
    // Where the cache is off, the choices of a request still share: by a tag that nobody else has.
    const scope = prefixCache ? undefined : String(this.#numArrived);
    const root = rootKey({ model, salt: options.cacheSalt, scope });
    const keys = new PageKeys(pageSize, root);
    keys.extend(options.prompt);
    const choices = Array.from({ length: options.n ?? 1 }, (_, index) => {
      const order = this.#numArrived++;
      return new Request(options, { index, order, now, maxLength, pageKeys: keys.copy() });
    });
    this.#requests.arrive(options.id, choices);
  }

  #checkId(id: string): void {
    if (this.#requests.find(id).length === 0) return;
    const [subject, remedy] = [`request ${JSON.stringify(id)}`, 'Give every request its own id.'];
    throw new InvalidRequestError({ subject, expected: 'a new id', actual: 'one in use', remedy });
  }

  /** The prompt and one token must fit into the model's context, and into the whole cache. */
  #checkLength({ id, prompt }: RequestOptions): void {
    const longest = Math.min(this.#options.maxModelLength - 1, this.#requests.longestPrefill);
    if (prompt.length <= longest) return;
    throw new RequestTooLongError({
      subject: `the prompt of request ${JSON.stringify(id)}`,
      expected: `at most ${longest} tokens`,
      actual: `${prompt.length}`,
      remedy: 'Shorten the prompt, or give the model a longer context and more pages.',
    });
  }

  #checkQueue({ n = 1, prompt }: RequestOptions): void {
    const { waiting } = this.#requests;
    const { maxQueuedRequests, maxQueuedTokens } = this.#options;
    const refuse = (expected: string, actual: string) => {
      const remedy = 'Send the request again later.';
      return new QueueFullError({ subject: 'the queue', expected, actual, remedy });
    };
    if (waiting.size + n > maxQueuedRequests)
      throw refuse(`at most ${maxQueuedRequests} sequences that wait`, `${waiting.size} and ${n}`);
    const tokens = n * prompt.length;
    if (waiting.numTokens + tokens > maxQueuedTokens)
      throw refuse(
        `at most ${maxQueuedTokens} tokens that wait`,
        `${waiting.numTokens} and ${tokens}`,
      );
  }
}
