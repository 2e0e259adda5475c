import type { Worker } from 'node:worker_threads';
import { startWorker } from './start-worker.ts';

export interface TokenizerCall {
  readonly call: number;
  readonly text: string;
  readonly addSpecialTokens: boolean;
}

export type TokenizerReply =
  | { readonly call: number; readonly tokens: Int32Array }
  | { readonly call: number; readonly error: string };

interface Waiting {
  readonly resolve: (tokens: readonly number[]) => void;
  readonly reject: (error: Error) => void;
}

/** Cuts long texts in a thread of its own, which starts with the first and again when it has died. */
export class TokenizerThread {
  readonly #model: string;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #numCalls = 0;

  /** @param model a folder or a package */
  constructor(model: string) {
    this.#model = model;
  }

  encode(text: string, addSpecialTokens: boolean): Promise<readonly number[]> {
    const worker = this.#start();
    const call = this.#numCalls++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject });
      worker.postMessage({ call, text, addSpecialTokens } satisfies TokenizerCall);
    });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    this.#lose(worker, new Error('the tokenizer was closed'));
    await worker.terminate();
  }

  #start(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = startWorker('thread/tokenizer-worker', { workerData: this.#model });
    worker.unref();
    this.#worker = worker;
    worker.on('message', (reply: TokenizerReply) => {
      const waiting = this.#waiting.get(reply.call);
      this.#waiting.delete(reply.call);
      if ('tokens' in reply) waiting?.resolve(Array.from(reply.tokens));
      else waiting?.reject(new Error(reply.error));
    });
    worker.on('error', (error) => this.#lose(worker, error));
    worker.on('exit', () => this.#lose(worker, new Error('the tokenizer’s thread has ended')));
    return worker;
  }

  #lose(worker: Worker, error: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}
