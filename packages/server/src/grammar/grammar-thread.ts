import type { Worker } from 'node:worker_threads';
import { GrammarError } from '../errors.ts';
import { startWorker } from '../thread/start-worker.ts';
import type { GrammarCall, GrammarReply } from './messages.ts';
import type { GrammarVocabulary } from './vocabulary.ts';

type Call = Exclude<GrammarCall, { kind: 'close' }>;
/** A call before it has its number. */
export type Unnumbered = Call extends infer Each
  ? Each extends Call
    ? Omit<Each, 'id'>
    : never
  : never;

interface Pending {
  readonly resolve: (mask: Int32Array | undefined) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** The grammar worker: started when it is first needed, and again when it has died. */
export class GrammarThread {
  readonly #vocabulary: GrammarVocabulary;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #numCalls = 0;
  #lastWords = '';
  /** Counts the workers: what one knew is lost with it. */
  generation = 0;

  constructor(vocabulary: GrammarVocabulary) {
    this.#vocabulary = vocabulary;
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** @throws GrammarError where the worker refuses, dies, or takes longer than `timeoutMs` */
  call(call: Unnumbered, timeoutMs: number): Promise<Int32Array | undefined> {
    const worker = this.#start();
    const id = this.#numCalls++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#kill(`no answer within ${timeoutMs} ms`), timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      worker.postMessage({ ...call, id });
    });
  }

  /** Tells a worker, if there is one. */
  close(matcher: number): void {
    this.#worker?.postMessage({ kind: 'close', matcher });
  }

  async stop(): Promise<void> {
    await this.#kill('a closed compiler');
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    // What the compiler prints is the reason why it refuses.
    const worker = startWorker('grammar/grammar-worker', {
      workerData: this.#vocabulary,
      stderr: true,
      stdout: true,
    });
    worker.unref();
    this.#worker = worker;
    this.generation++;
    worker.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-2000);
    });
    worker.on('message', (reply: GrammarReply) => this.#take(reply));
    worker.on('error', (error) => this.#lose(worker, error.message));
    worker.on('exit', () => {
      const [, reason] = /Check failed.*?: (.*)|\d: (Unsupported.*)/.exec(this.#lastWords) ?? [];
      const words = reason ?? /cc:\d+: (.*)/.exec(this.#lastWords)?.[1];
      this.#lose(worker, words ?? 'something that breaks the compiler');
    });
    return worker;
  }

  #take(reply: GrammarReply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if ('error' in reply) pending.reject(grammarError(reply.error));
    else pending.resolve(reply.mask);
  }

  async #kill(reason: string): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#lose(worker, reason);
    await worker.terminate();
  }

  #lose(worker: Worker, reason: string): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#lastWords = '';
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, timer } of pending) {
      clearTimeout(timer);
      reject(grammarError(reason));
    }
  }
}

export function grammarError(actual: string): GrammarError {
  return new GrammarError({
    subject: 'the grammar of the answer',
    expected: 'a schema that can be compiled',
    actual,
    remedy: 'Simplify the schema.',
  });
}
