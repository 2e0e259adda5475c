import { constraintError, type RunnerError } from '../errors.ts';
import type { ResolvedOptions } from '../options.ts';
import type { Request } from '../request/request.ts';
import type { StepOutput } from '../runner/model-runner.ts';
import { Admission, partOf } from './admission.ts';
import { CostModel } from './cost-model.ts';
import type { Lifecycle } from './lifecycle.ts';
import { OutputReserve } from './output-reserve.ts';
import { alignedChunks, type PartialPrompt, shareTokens } from './prefill-chunks.ts';
import { type ScheduledStep, StepBuilder } from './step-builder.ts';

/**
 * Decides what a step does. Every sequence that generates is in every step; what time a step has left
 * goes to prompts, in chunks.
 */
export class Scheduler {
  readonly #options: ResolvedOptions;
  readonly #requests: Lifecycle;
  readonly #cost = new CostModel();
  readonly #reserve: OutputReserve;
  readonly #admission: Admission;

  constructor(options: ResolvedOptions, requests: Lifecycle) {
    this.#options = options;
    this.#requests = requests;
    this.#reserve = new OutputReserve(options.outputReserve);
    this.#admission = new Admission(options, requests, this.#reserve);
  }

  /** The next step; undefined when there is nothing to do before a step in flight has answered. */
  schedule(now: number): ScheduledStep | undefined {
    const { totals } = this.#requests;
    this.#requests.collectCopies(now);
    this.#expire(now);
    const preemptions = totals.preemptions;
    this.#admission.makeRoom(now);
    const step = new StepBuilder();
    this.#scheduleDecodes(step, now);
    // Who was preempted must not take its place again in the same step.
    if (totals.preemptions === preemptions) {
      this.#admission.admit(now, (prompts) => this.#cutPrompts(step.numDecodes, prompts));
    }
    this.#schedulePrefills(step);
    if (step.isEmpty) return undefined;
    return step.build(this.#requests.launch(), this.#options);
  }

  /** Takes in what a step has computed. */
  commit({ plan, frames }: ScheduledStep, output: StepOutput, now: number): void {
    this.#requests.stepDone(plan.step);
    this.#cost.observe(plan, output.durationMs);
    this.#requests.hisparse?.observe(output.swapIn);
    this.#reserve.afterStep();
    let sampled = 0;
    for (const { request, epoch, numTokens, samples } of frames) {
      const logprobs = samples ? output.logprobs?.[sampled] : undefined;
      const token = samples ? output.tokens[sampled++] : undefined;
      const state = request.running;
      if (state === undefined || request.epoch !== epoch) continue;
      // With HiSparse, a prompt counts when it is on the host.
      const isStored = state.device === undefined || state.kind === 'decode';
      if (isStored) this.#requests.computed(request, state, numTokens);
      if (token === undefined) continue;
      request.numPending--;
      this.#requests.append(request, { token, logprobs }, now);
      if (state.kind === 'staging' && request.state === state) this.#requests.stage(request, state);
    }
  }

  /** Computes what a step may sample, now that all steps before it have been taken in. */
  fillMasks({ masks }: ScheduledStep, now: () => number): void {
    masks?.fill(({ request, epoch }, cause) => {
      if (request.epoch !== epoch) return;
      this.#requests.finish(request, { reason: 'error', error: constraintError(cause) }, now());
    });
  }

  /** Ends the requests of a step that failed. Their pages were not published, so nobody reads them. */
  fail({ plan, frames }: ScheduledStep, error: RunnerError, now: number): void {
    this.#requests.stepDone(plan.step);
    for (const { request, epoch } of frames) {
      if (request.epoch === epoch) this.#requests.finish(request, { reason: 'error', error }, now);
    }
  }

  #expire(now: number): void {
    const { running, waiting } = this.#requests;
    for (const request of [...running, ...waiting]) {
      if (now >= request.deadline) this.#requests.finish(request, { reason: 'deadline' }, now);
    }
  }

  #scheduleDecodes(step: StepBuilder, now: number): void {
    const { running, shares } = this.#requests;
    for (const request of running.list()) {
      const state = request.running;
      // It may have been preempted for one before it.
      if (state?.kind !== 'decode') continue;
      // Its last token is in flight already.
      if (request.length >= request.maxLength) continue;
      if (!this.#makeRoomToGrow(request, now)) continue;
      step.decode(request, state);
      shares.charge(request.tenant, { output: 1 });
    }
  }

  /** Gets the page for a sequence's next token, if need be from another request. */
  #makeRoomToGrow(request: Request, now: number): boolean {
    const { running } = this.#requests;
    const state = request.running;
    if (state === undefined) return false;
    while (!this.#requests.grow(state, request.length)) {
      // Enough pages come back by themselves; to preempt more would be for nothing.
      if (this.#requests.areComing(state, request.length)) return false;
      if (running.size === 1) {
        if (request.numPending === 0) this.#requests.finish(request, { reason: 'length' }, now);
        return false;
      }
      const victim = running.lastBehind(request, (candidate) =>
        this.#requests.gains(state, request.length, candidate),
      );
      this.#requests.preempt(victim ?? request);
      this.#reserve.afterPreemption();
      if (victim === undefined) return false;
    }
    return true;
  }

  #schedulePrefills(step: StepBuilder): void {
    const { running, shares } = this.#requests;
    const prefilling = running
      .list()
      .filter(({ state }) => state.kind === 'prefill' && state.device?.copy === undefined);
    const lengths = this.#cutPrompts(step.numDecodes, prefilling.map(partOf));
    for (const [i, request] of prefilling.entries()) {
      const [state, length = 0] = [request.running, lengths[i]];
      if (state === undefined || length === 0) continue;
      step.prefill(request, state, length);
      shares.charge(request.tenant, { prompt: length });
      if (request.numScheduled === request.tokens.length) this.#requests.prefilled(request, state);
    }
  }

  /** How many tokens of each prompt a step takes: at least a page in all, so that none stands still. */
  #cutPrompts(numDecodes: number, prompts: readonly PartialPrompt[]): number[] {
    const { deterministicChunk, maxBatchTokens, pageSize, targetStepMs } = this.#options;
    const room = maxBatchTokens - numDecodes;
    if (this.#options.deterministic) return alignedChunks(prompts, room, deterministicChunk);
    const context = prompts.reduce((longest, { start }) => Math.max(longest, start), 0);
    const tokens = this.#cost.prefillTokens(targetStepMs, numDecodes, context);
    const wholePages = Math.floor(Math.min(tokens, room) / pageSize) * pageSize;
    return shareTokens(prompts, Math.max(pageSize, wholePages), pageSize);
  }
}
