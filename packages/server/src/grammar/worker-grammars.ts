import type { TokenConstraint } from '@flash-mla/engine';
import type { GrammarSpec } from '../generate/request.ts';
import { GrammarThread, grammarError } from './grammar-thread.ts';
import type { Grammars } from './grammars.ts';
import type { GrammarVocabulary } from './vocabulary.ts';

export interface GrammarLimits {
  /** Default 64 KiB. */
  readonly maxSourceLength?: number;
  /** Default 10 000 ms. */
  readonly compileTimeoutMs?: number;
  /** How long a mask may take. Default 5 000 ms. */
  readonly maskTimeoutMs?: number;
}

const maxDepth = 32;

/** Grammars in a worker of their own, with limits: whatever a schema does, nothing else waits for it. */
export class WorkerGrammars implements Grammars {
  readonly #thread: GrammarThread;
  readonly #limits: Required<GrammarLimits>;
  #numMatchers = 0;

  constructor(vocabulary: GrammarVocabulary, limits: GrammarLimits = {}) {
    this.#thread = new GrammarThread(vocabulary);
    this.#limits = {
      maxSourceLength: limits.maxSourceLength ?? 64 * 2 ** 10,
      compileTimeoutMs: limits.compileTimeoutMs ?? 10_000,
      maskTimeoutMs: limits.maskTimeoutMs ?? 5_000,
    };
  }

  async prepare(spec: GrammarSpec, after?: number): Promise<() => TokenConstraint> {
    const { compileTimeoutMs, maskTimeoutMs, maxSourceLength } = this.#limits;
    if (spec.source.length > maxSourceLength)
      throw grammarError(`${spec.source.length} characters, more than ${maxSourceLength}`);
    if (depthOf(spec.source) > maxDepth) throw grammarError(`more than ${maxDepth} levels`);
    await this.#thread.call({ kind: 'compile', spec }, compileTimeoutMs);
    return () =>
      new WorkerConstraint(this.#thread, {
        spec,
        after,
        maskTimeoutMs,
        matcher: this.#numMatchers++,
      });
  }

  close(): Promise<void> {
    return this.#thread.stop();
  }
}

/** How deep a JSON text nests. */
function depthOf(source: string): number {
  let [depth, deepest] = [0, 0];
  for (const sign of source.replace(/"(?:[^"\\]|\\.)*"/g, '')) {
    if (sign === '{' || sign === '[') deepest = Math.max(deepest, ++depth);
    else if (sign === '}' || sign === ']') depth--;
  }
  return deepest;
}

interface ConstraintOptions {
  readonly spec: GrammarSpec;
  /** The grammar begins behind this token. */
  readonly after: number | undefined;
  readonly maskTimeoutMs: number;
  readonly matcher: number;
}

/** One sequence. It remembers its tokens, so that a new worker can go on where the last one died. */
class WorkerConstraint implements TokenConstraint {
  readonly #thread: GrammarThread;
  readonly #options: ConstraintOptions;
  readonly #tokens: number[] = [];
  #hasBegun: boolean;
  #numSent = 0;
  #generation = -1;

  constructor(thread: GrammarThread, options: ConstraintOptions) {
    this.#thread = thread;
    this.#options = options;
    this.#hasBegun = options.after === undefined;
  }

  async mask(): Promise<Int32Array | undefined> {
    if (!this.#hasBegun) return undefined;
    const { maskTimeoutMs } = this.#options;
    try {
      return await this.#ask(maskTimeoutMs);
    } catch (error) {
      // The worker may have died of another grammar: a new one goes on from the tokens so far.
      if (this.#thread.isRunning) throw error;
      return this.#ask(maskTimeoutMs);
    }
  }

  #ask(timeoutMs: number): Promise<Int32Array | undefined> {
    const { matcher, spec } = this.#options;
    const knowsMe = this.#thread.isRunning && this.#thread.generation === this.#generation;
    const accept = this.#tokens.slice(knowsMe ? this.#numSent : 0);
    const answer = this.#thread.call({ kind: 'mask', matcher, spec, accept }, timeoutMs);
    this.#generation = this.#thread.generation;
    this.#numSent = this.#tokens.length;
    return answer;
  }

  accept(token: number): void {
    if (this.#hasBegun) this.#tokens.push(token);
    else this.#hasBegun = token === this.#options.after;
  }

  close(): void {
    this.#thread.close(this.#options.matcher);
  }
}
