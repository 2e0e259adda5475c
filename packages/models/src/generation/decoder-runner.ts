import {
  type BatchPlan,
  type ModelRunner,
  type PageTransfers,
  Sampler,
  type StepOutput,
  type TokenLogprobs,
} from '@flash-mla/engine';
import type { LayerCache } from '../layers/attention.ts';
import { makeBatch } from '../layers/batch.ts';
import type { Decoder } from '../layers/decoder.ts';
import type { HotCache } from '../layers/hot-cache.ts';
import { decodeWork, prefillWork } from './step-work.ts';

/** A row of the batch: how its tokens are drawn, and the last one. */
interface Row {
  readonly sampler: Sampler;
  lastToken: number;
}

/** Runs the steps of an engine with a decoder. Tokens are drawn on the host. */
export class DecoderRunner<Matrix> implements ModelRunner {
  readonly #decoder: Decoder<Matrix>;
  readonly #cache: readonly LayerCache<Matrix>[];
  readonly #rows = new Map<number, Row>();
  /** With HiSparse. */
  readonly transfers?: PageTransfers;
  readonly #hot: HotCache | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param cache of {@link Decoder.createCache}, with as many pages as the engine gives out.
   * @param hot HiSparse's part of it.
   */
  constructor(decoder: Decoder<Matrix>, cache: readonly LayerCache<Matrix>[], hot?: HotCache) {
    this.#decoder = decoder;
    this.#cache = cache;
    this.#hot = hot;
    if (hot !== undefined) this.transfers = hot.transfers;
  }

  /** Steps take effect in the order in which they come. */
  run(plan: BatchPlan): Promise<StepOutput> {
    const result = this.#last.then(() => this.#run(plan));
    this.#last = result.catch(() => {});
    return result;
  }

  async #run(plan: BatchPlan): Promise<StepOutput> {
    const started = performance.now();
    for (const start of plan.starts) {
      this.#rows.set(start.slot, { sampler: new Sampler(start), lastToken: 0 });
      this.#hot?.start(start.slot);
    }
    this.#hot?.begin(plan.decodes);
    const lastToken = (slot: number) => this.#row(slot).lastToken;
    const work = [...decodeWork(plan.decodes, lastToken), ...prefillWork(plan.prefills)];
    const batch = makeBatch(work.map(({ sequence }) => sequence));
    const sampling = work.flatMap(({ slot, samples }, i) => {
      const sequence = batch.sequences[i];
      return samples && sequence !== undefined ? [{ slot, sequence }] : [];
    });
    const lastRows = sampling.map(({ sequence }) => sequence.row + sequence.count - 1);
    const { logits, vocabSize } = await this.#decoder.forward(
      batch,
      this.#cache,
      Int32Array.from(lastRows),
    );
    const swapIn = await this.#hot?.end();
    // Until here the masks may be unknown: they depend on the step before.
    const masks = await plan.masks;
    const tokens: number[] = [];
    const logprobs: (TokenLogprobs | undefined)[] = [];
    for (const [i, { slot, sequence }] of sampling.entries()) {
      const row = this.#row(slot);
      const own = logits.subarray(i * vocabSize, (i + 1) * vocabSize);
      const position = sequence.start + sequence.count;
      const sampled = row.sampler.sample(own, position, masks?.get(slot));
      row.lastToken = sampled.token;
      tokens.push(sampled.token);
      logprobs.push(sampled.logprobs);
    }
    const durationMs = performance.now() - started;
    return { tokens, logprobs, durationMs, ...(swapIn && { swapIn }) };
  }

  #row(slot: number): Row {
    const row = this.#rows.get(slot);
    if (row === undefined) throw new Error(`slot ${slot} serves no request`);
    return row;
  }
}
