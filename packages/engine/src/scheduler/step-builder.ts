import type { Request } from '../request/request.ts';
import type { RunningState } from '../request/state.ts';
import type { BatchPlan, Decode, PrefillChunk, SlotStart } from '../runner/model-runner.ts';

/** What a step does for one request, and for which of its epochs. */
export interface Frame {
  readonly request: Request;
  readonly epoch: number;
  readonly numTokens: number;
  readonly samples: boolean;
}

export interface ScheduledStep {
  readonly plan: BatchPlan;
  /** One for each decode, then one for each chunk, in the plan's order. */
  readonly frames: readonly Frame[];
  /** Tokens that the runner has to answer with. */
  readonly numSamples: number;
}

/** Collects a step. What goes in counts as scheduled at once. */
export class StepBuilder {
  readonly #starts: SlotStart[] = [];
  readonly #decodes: Decode[] = [];
  readonly #prefills: PrefillChunk[] = [];
  readonly #frames: Frame[] = [];
  #numSamples = 0;

  get numDecodes(): number {
    return this.#decodes.length;
  }

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /** The next token of a sequence. Decodes come before chunks. */
  decode(request: Request, { slot, table }: RunningState): void {
    const position = request.numScheduled;
    const token = request.tokens[position] ?? null;
    const { epoch } = request;
    this.#decodes.push({ slot, epoch, position, token, pages: table.pages });
    this.#frame(request, 1, true);
  }

  /** The next tokens of a prompt; a preempted request's output is part of it. */
  prefill(request: Request, { slot, table }: RunningState, length: number): void {
    const { epoch, id, index, sampling, tokens, numScheduled: start } = request;
    if (start === table.numCachedTokens) this.#starts.push({ slot, epoch, id, index, sampling });
    const samples = start + length === tokens.length;
    const chunk = tokens.slice(start, start + length);
    this.#prefills.push({ slot, epoch, start, tokens: chunk, pages: table.pages, samples });
    this.#frame(request, length, samples);
  }

  build(step: number, deterministic: boolean): ScheduledStep {
    const [starts, decodes, prefills] = [this.#starts, this.#decodes, this.#prefills];
    const plan = { step, deterministic, starts, decodes, prefills };
    return { plan, frames: this.#frames, numSamples: this.#numSamples };
  }

  #frame(request: Request, numTokens: number, samples: boolean): void {
    request.numScheduled += numTokens;
    if (samples) {
      request.numPending++;
      this.#numSamples++;
    }
    this.#frames.push({ request, epoch: request.epoch, numTokens, samples });
  }
}
