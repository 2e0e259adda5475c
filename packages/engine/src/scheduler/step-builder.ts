import type { ResolvedOptions } from '../options.ts';
import type { Request } from '../request/request.ts';
import type { Holdings } from '../request/state.ts';
import { paddedBatchSize } from '../runner/batch-sizes.ts';
import type { BatchPlan, Decode, PrefillChunk, SlotStart } from '../runner/model-runner.ts';
import { type PendingMasks, pendingMasks } from './pending-masks.ts';

/** What a step does for one request, and for which of its epochs. */
export interface Frame {
  readonly request: Request;
  readonly slot: number;
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
  /** What the plan's `masks` waits for; undefined when nothing is restricted. */
  readonly masks: PendingMasks | undefined;
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
  decode(request: Request, { slot, table, device }: Holdings): void {
    const position = request.numScheduled;
    const token = request.tokens[position] ?? null;
    const { epoch } = request;
    const devicePages = device && { devicePages: device.pages };
    this.#decodes.push({ slot, epoch, position, token, pages: table.pages, ...devicePages });
    this.#frame(request, slot, 1, true);
  }

  /** The next tokens of a prompt; a preempted request's output is part of it. */
  prefill(request: Request, { slot, table, device }: Holdings, length: number): void {
    const { epoch, tokens, numScheduled: start } = request;
    if (start === table.numCachedTokens) this.#starts.push(startOf(request, slot));
    const samples = start + length === tokens.length;
    const chunk = tokens.slice(start, start + length);
    const pages = { pages: table.pages, ...(device && { devicePages: device.pages }) };
    this.#prefills.push({ slot, epoch, start, tokens: chunk, ...pages, samples });
    this.#frame(request, slot, length, samples);
  }

  build(step: number, { decodeBatchSizes, deterministic }: ResolvedOptions): ScheduledStep {
    const [starts, decodes, prefills] = [this.#starts, this.#decodes, this.#prefills];
    const numDecodeRows = paddedBatchSize(decodeBatchSizes, decodes.length);
    const masks = pendingMasks(this.#frames);
    const plan: BatchPlan = {
      step,
      deterministic,
      starts,
      decodes,
      numDecodeRows,
      prefills,
      ...(masks && { masks: masks.promise }),
    };
    return { plan, frames: this.#frames, numSamples: this.#numSamples, masks };
  }

  #frame(request: Request, slot: number, numTokens: number, samples: boolean): void {
    request.numScheduled += numTokens;
    if (samples) {
      request.numPending++;
      this.#numSamples++;
    }
    this.#frames.push({ request, slot, epoch: request.epoch, numTokens, samples });
  }
}

function startOf(request: Request, slot: number): SlotStart {
  const { epoch, id, index, minTokens, promptLength, sampling, stopTokens } = request;
  const before = promptLength + minTokens;
  const suppressed = minTokens > 0 && stopTokens.size > 0 && { tokens: [...stopTokens], before };
  const tokens = request.tokens.slice();
  const start = { slot, epoch, id, index, sampling, tokens, promptLength };
  return suppressed ? { ...start, suppressed } : start;
}
