import {
  type BatchPlan,
  type ModelRunner,
  type PageTransfers,
  Sampler,
  type StepOutput,
  type TokenLogprobs,
} from '@flash-mla/engine';
import type { LayerCache } from '../layers/attention.ts';
import { makeBatch, type SequenceTokens } from '../layers/batch.ts';
import type { Decoder } from '../layers/decoder.ts';
import type { HotCache } from '../layers/hot-cache.ts';

/** A row of the batch: how its tokens are drawn, and the last one. */
interface Row {
  readonly sampler: Sampler;
  lastToken: number;
}

/** What a step computes and draws. */
interface Work {
  readonly slot: number;
  readonly sequence: SequenceTokens;
  /** Whether the token after the last one is drawn. */
  readonly samples: boolean;
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
    const work = this.#workOf(plan);
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

  #workOf({ decodes, prefills }: BatchPlan): Work[] {
    return [
      ...decodes.map(({ slot, position, token, pages, devicePages }) => {
        const tokens = [token ?? this.#row(slot).lastToken];
        const own = { tokens, start: position };
        const places = devicePages
          ? { pages: devicePages, indexPages: pages, hotRow: slot }
          : { pages };
        return { slot, sequence: { ...own, ...places }, samples: true };
      }),
      ...prefills.map(({ slot, start, tokens, pages, devicePages, samples }) => {
        const places = devicePages ? { pages: devicePages, indexPages: pages } : { pages };
        return { slot, sequence: { tokens, start, ...places }, samples };
      }),
    ];
  }

  #row(slot: number): Row {
    const row = this.#rows.get(slot);
    if (row === undefined) throw new Error(`slot ${slot} serves no request`);
    return row;
  }
}
