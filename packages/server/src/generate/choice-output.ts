import type { EngineEvent, Outcome, TokenLogprobs } from '@flash-mla/engine';
import { StopStrings } from '@flash-mla/models';
import type { IncrementalDecoder, ServedTokenizer } from '../model/served-model.ts';
import type { OutputParser, OutputPart } from '../output/parts.ts';
import type { FinishReason, GenerationEvent, GenerationRequest } from './request.ts';

type TokenEvent = Extract<EngineEvent, { kind: 'token' }>;
type FinishedEvent = Extract<EngineEvent, { kind: 'finished' }>;

/**
 * The text of one choice: tokens become text, text is searched for stop strings, and what may be given
 * out is taken apart into thoughts, answer and calls.
 */
export class ChoiceOutput {
  readonly index: number;
  readonly #request: GenerationRequest;
  readonly #tokenizer: ServedTokenizer;
  readonly #decoder: IncrementalDecoder;
  readonly #stops: StopStrings;
  readonly #parser: OutputParser;
  readonly #endTokens: ReadonlySet<number>;
  #parts: OutputPart[] = [];
  #tokens: number[] = [];
  #logprobs: TokenLogprobs[] = [];
  #hasCalls = false;
  #reasoningTokens = 0;
  #outputTokens = 0;
  #stop: string | undefined;

  constructor(request: GenerationRequest, index: number, tokenizer: ServedTokenizer) {
    this.index = index;
    this.#request = request;
    this.#tokenizer = tokenizer;
    this.#decoder = tokenizer.decoder();
    this.#stops = new StopStrings(request.stop);
    this.#parser = request.parser();
    this.#endTokens = new Set(request.stopTokens);
  }

  /** Takes a token. True when its text has completed a stop string: the engine should end the choice. */
  push({ token, logprobs }: TokenEvent): boolean {
    if (this.#stop !== undefined) return false;
    this.#tokens.push(token);
    this.#outputTokens++;
    if (logprobs !== undefined) this.#logprobs.push(logprobs);
    // A token that ends the answer is no part of it.
    if (!this.#endTokens.has(token) || this.#request.includeStop) this.#text(token);
    if (this.#parser.isThinking) this.#reasoningTokens++;
    return this.#stop !== undefined;
  }

  #text(token: number): void {
    if (this.#skips(token)) return;
    const { stop, text } = this.#stops.push(this.#decoder.push(token));
    this.#stop = stop;
    const included = stop !== undefined && this.#request.includeStop ? stop : '';
    this.#take(this.#parser.push(text + included));
  }

  #skips(token: number): boolean {
    if (!this.#request.skipSpecialTokens || !this.#tokenizer.isSpecial(token)) return false;
    return !this.#request.keepTokens.has(token);
  }

  /** What has come since the last call; undefined for nothing. */
  takeDelta(): GenerationEvent | undefined {
    if (this.#tokens.length === 0 && this.#parts.length === 0) return undefined;
    const [parts, tokens, logprobs] = [this.#parts, this.#tokens, this.#logprobs];
    this.#parts = [];
    this.#tokens = [];
    this.#logprobs = [];
    return { kind: 'delta', index: this.index, parts, tokens, logprobs };
  }

  /** The last events: what was held back, and how it ended. */
  finish({ outcome, stats }: FinishedEvent): GenerationEvent[] {
    if (this.#stop === undefined) {
      const { stop, text } = this.#stops.push(this.#decoder.flush());
      this.#stop = stop;
      this.#take(this.#parser.push(stop === undefined ? text + this.#stops.flush() : text));
    }
    this.#take(this.#parser.flush());
    const delta = this.takeDelta();
    const usage = {
      promptTokens: stats.promptTokens,
      cachedTokens: stats.cachedTokens,
      outputTokens: this.#outputTokens,
      reasoningTokens: this.#reasoningTokens,
    };
    const reason = this.#reason(outcome);
    const end: GenerationEvent = { kind: 'finish', index: this.index, reason, usage, stats };
    return delta === undefined ? [end] : [delta, end];
  }

  #reason(outcome: Outcome): FinishReason {
    const stop = this.#stop;
    if (outcome.reason === 'error') return { kind: 'error', error: outcome.error };
    // The text ended before the engine knew of it.
    if (stop !== undefined) return { kind: this.#hasCalls ? 'calls' : 'stop', stop };
    if (outcome.reason !== 'stop') return { kind: outcome.reason };
    return { kind: this.#hasCalls ? 'calls' : 'stop' };
  }

  #take(parts: readonly OutputPart[]): void {
    for (const part of parts) {
      this.#hasCalls ||= part.kind === 'call';
      const last = this.#parts.at(-1);
      // One piece for what belongs together: a client gets few, whole events.
      if (last !== undefined && 'text' in part && 'text' in last && isSame(last, part))
        this.#parts[this.#parts.length - 1] = { ...last, text: last.text + part.text };
      else this.#parts.push(part);
    }
  }
}

function isSame(a: OutputPart, b: OutputPart): boolean {
  if (a.kind !== b.kind) return false;
  return a.kind !== 'arguments' || (b.kind === 'arguments' && a.call === b.call);
}
