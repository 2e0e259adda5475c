import {
  type BatchPlan,
  type ModelRunner,
  type PageTransfers,
  Sampler,
  type SlotStart,
  type StepMasks,
  type StepOutput,
  type SwapInTotals,
  type TokenLogprobs,
} from '@flash-mla/engine';
import {
  type Decoder,
  decodeWork,
  type HotCache,
  type LayerCache,
  makeBatch,
  prefillWork,
  type StepWork,
} from '@flash-mla/models';
import { sampleTokens } from '../ops/sampling/index.ts';
import type { Device } from '../runtime/device/device.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix, DeviceOperations } from './device-operations.ts';
import {
  type DrawnLogprobs,
  type DrawnRow,
  drawTokens,
  isLikeliest,
  isOfHost,
} from './draw-tokens.ts';
import { allOf, RecordedStep, RotationTable } from './recorded-step.ts';

/** A row of the batch: how its tokens are drawn, and the last one. */
interface Row {
  readonly start: SlotStart;
  readonly sampler: Sampler;
  /** What is drawn depends on it where the request names no seed. */
  readonly ownSeed: number;
  lastToken: number;
}

/** Rows of logits, and the token of each, on their way to the host. */
interface Draw {
  readonly slots: readonly number[];
  readonly rows: readonly Row[];
  /** Of the tokens that are drawn. */
  readonly positions: readonly number[];
  readonly tokens: Promise<Int32Array>;
  readonly logprobs: Promise<DrawnLogprobs | undefined>;
  /** Of rows whose tokens are drawn on the host. */
  readonly logits: ReadonlyMap<number, Promise<Float32Array>>;
}

/** A step whose calls are made. */
interface Begun {
  readonly draws: readonly Draw[];
  /** Of a step that draws nothing. */
  readonly done: Promise<void> | undefined;
  /** With HiSparse. */
  readonly swapIn: Promise<SwapInTotals> | undefined;
  readonly masks: StepMasks | undefined;
  readonly started: number;
}

/** Rows for which products take the processor so long that the calls are a small part of a step. */
const mostRowsOnProcessor = 16;

/**
 * Runs the steps of an engine on a device. Decodes are recorded once for each size of the batch and replayed;
 * prompts are enqueued call by call. So are decodes of a model with an indexer: a recorded step attends to all
 * tokens, and cannot tell when a sequence becomes too long for that. Tokens are drawn on the device, but for those with penalties or biases, so
 * that the next step may be enqueued while this one is computed.
 */
export class DeviceRunner implements ModelRunner, Disposable {
  readonly #device: Device;
  readonly #ops: DeviceOperations;
  readonly #decoder: Decoder<DeviceMatrix>;
  readonly #cache: readonly LayerCache<DeviceMatrix>[];
  readonly #rows = new Map<number, Row>();
  readonly #recorded = new Map<number, RecordedStep>();
  #angles: RotationTable | undefined;
  /** The recorded step whose ids go on with these slots, if nothing else came since. */
  #fed: { readonly step: RecordedStep; readonly slots: readonly number[] } | undefined;
  #begun: Promise<unknown> = Promise.resolve();
  #finished: Promise<unknown> = Promise.resolve();
  #finishedAt = 0;
  readonly #isRecorded: boolean;
  readonly #hot: HotCache | undefined;
  /** With HiSparse. */
  readonly transfers?: PageTransfers;

  constructor(
    device: Device,
    ops: DeviceOperations,
    decoder: Decoder<DeviceMatrix>,
    cache: readonly LayerCache<DeviceMatrix>[],
    hot?: HotCache,
  ) {
    this.#isRecorded = decoder.config.indexer === undefined;
    this.#hot = hot;
    if (hot !== undefined) this.transfers = hot.transfers;
    this.#device = device;
    this.#ops = ops;
    this.#decoder = decoder;
    this.#cache = cache;
  }

  /** Steps take effect in the order in which they come. */
  run(plan: BatchPlan): Promise<StepOutput> {
    const before = this.#finished;
    const begun = this.#begun.then(() => this.#begin(plan, before));
    this.#begun = begun.catch(() => {});
    const output = begun.then((step) => step.output);
    this.#finished = output.catch(() => {});
    return output;
  }

  /** No step may run. */
  [Symbol.dispose](): void {
    for (const step of this.#recorded.values()) step[Symbol.dispose]();
    this.#recorded.clear();
    this.#angles?.[Symbol.dispose]();
    this.#angles = undefined;
  }

  /** Makes the calls of a step; the promise within waits for what they give. */
  async #begin(plan: BatchPlan, before: Promise<unknown>) {
    const started = performance.now();
    const { decodes, starts } = plan;
    const recordedRows = this.#rowsToRecord(plan);
    const step = recordedRows > 0 ? this.#recordedStep(recordedRows) : undefined;
    // Where the tokens are not on the device in this order, the host has to have them.
    const goesOn = step !== undefined && this.#goesOn(step, plan);
    if (!goesOn) await before;
    for (const start of starts) {
      this.#rows.set(start.slot, rowOf(start));
      this.#hot?.start(start.slot);
    }
    this.#hot?.begin(decodes);
    if (step !== undefined) {
      const tokens = decodes.map(({ slot, token }) => token ?? this.#row(slot).lastToken);
      step.replay(decodes, goesOn ? undefined : tokens);
    }
    // Only the step right before this one left ids that go on: a slot may be another request's by now.
    this.#fed = undefined;
    const lastToken = (slot: number) => this.#row(slot).lastToken;
    const own = step === undefined ? decodeWork(decodes, lastToken) : [];
    const enqueued = this.#enqueue([...own, ...prefillWork(plan.prefills)]);
    const swapIn = this.#hot?.end();
    // A rejection is seen when its turn comes.
    swapIn?.catch(() => {});
    // Until here the masks may be unknown: they depend on the step before.
    const masks = await plan.masks;
    const draws: Draw[] = [];
    if (step !== undefined) {
      const slots = decodes.map(({ slot }) => slot);
      const positions = decodes.map(({ position }) => position + 1);
      const draw = this.#draw(slots, positions, step.logits, step.ids, masks);
      if (draw.logits.size === 0) this.#fed = { step, slots };
      draws.push(draw);
    }
    if (enqueued !== undefined) {
      const { slots, positions, logits, tokens } = enqueued;
      draws.push(this.#draw(slots, positions, logits, tokens, masks));
      logits.dispose();
      tokens.dispose();
    }
    // The cache has to be written before the step counts as done.
    const done = draws.length > 0 ? undefined : this.#device.synchronize();
    return { output: this.#finish({ draws, done, swapIn, masks, started }) };
  }

  /** Rows of the recorded step for the plan's decodes; 0 where they are enqueued call by call. */
  #rowsToRecord({ decodes, numDecodeRows, prefills }: BatchPlan): number {
    if (!this.#isRecorded) return 0;
    if (this.#device.info.backend !== 'cpu') return numDecodeRows;
    // A row that pads the batch takes the processor as long as any other, and prompts pass the weights anyway.
    const isWorthIt = prefills.length === 0 && decodes.length <= mostRowsOnProcessor;
    return isWorthIt ? decodes.length : 0;
  }

  #recordedStep(rows: number): RecordedStep {
    const known = this.#recorded.get(rows);
    if (known !== undefined) return known;
    const decoder = this.#decoder;
    if (this.#angles === undefined) {
      const positions = Int32Array.from({ length: decoder.maxPositions }, (_, i) => i);
      this.#angles = new RotationTable(this.#device, decoder.rotation(positions));
    }
    const step = new RecordedStep(
      {
        ...{ device: this.#device, ops: this.#ops, decoder, cache: this.#cache },
        angles: this.#angles,
      },
      rows,
    );
    this.#recorded.set(rows, step);
    return step;
  }

  /** Whether the step's ids are those of the decodes: the likeliest tokens of the replay before. */
  #goesOn(step: RecordedStep, { decodes, starts }: BatchPlan): boolean {
    if (this.#fed?.step !== step || this.#fed.slots.length !== decodes.length) return false;
    const { slots } = this.#fed;
    return (
      decodes.every(
        ({ slot, token }, i) =>
          slot === slots[i] && (token === null || token === this.#row(slot).lastToken),
      ) && !starts.some(({ slot }) => slots.includes(slot))
    );
  }

  /** Enqueues what is not recorded, and the likeliest token after each sequence whose next one is drawn. */
  #enqueue(work: readonly StepWork[]) {
    if (work.length === 0) return undefined;
    return this.#ops.enqueueStep(() => {
      const batch = makeBatch(work.map(({ sequence }) => sequence));
      const ending = work.flatMap(({ slot, samples }, i) => {
        const sequence = batch.sequences[i];
        return samples && sequence !== undefined ? [{ slot, sequence }] : [];
      });
      const last = ending.map(({ sequence: { row, count } }) => row + count - 1);
      const { logits } = allOf(this.#decoder.enqueue(batch, this.#cache, Int32Array.from(last)));
      if (logits === undefined) return undefined;
      const { tokens, logprobs } = sampleTokens({ logits });
      logprobs.dispose();
      return {
        ...{ logits: this.#ops.detach(logits), tokens },
        slots: ending.map(({ slot }) => slot),
        positions: ending.map(({ sequence: { start, count } }) => start + count),
      };
    });
  }

  #draw(
    slots: readonly number[],
    positions: readonly number[],
    logits: DeviceMatrix,
    tokens: Tensor<'i32'>,
    masks: StepMasks | undefined,
  ): Draw {
    const rows = slots.map((slot) => this.#row(slot));
    const drawn = rows.map(({ start, ownSeed }, i): DrawnRow => {
      const position = positions[i] as number;
      return { start, ownSeed, position, mask: masks?.get(slots[i] as number) };
    });
    const onHost = new Map<number, Promise<Float32Array>>();
    for (const [i, { start }] of rows.entries()) {
      if (isOfHost(start)) onHost.set(i, logits.slice(0, i, i + 1).readFloat32());
    }
    // The likeliest tokens are there already.
    const logprobs = drawn.every(isLikeliest)
      ? Promise.resolve(undefined)
      : drawTokens(this.#device, logits, tokens, drawn);
    return { slots, rows, positions, tokens: tokens.read(), logprobs, logits: onHost };
  }

  async #finish({ draws, done, swapIn, masks, started }: Begun): Promise<StepOutput> {
    await Promise.all([
      ...[
        swapIn,
        done,
        ...draws.flatMap((draw): Promise<unknown>[] => [draw.tokens, draw.logprobs]),
      ],
      ...draws.flatMap(({ logits }) => [...logits.values()]),
    ]);
    const swapped = await swapIn;
    const tokens: number[] = [];
    const logprobs: (TokenLogprobs | undefined)[] = [];
    for (const draw of draws) {
      const { slots, rows, positions } = draw;
      const ofDevice = await draw.tokens;
      const report = await draw.logprobs;
      for (const [i, row] of rows.entries()) {
        const logits = await draw.logits.get(i);
        const mask = masks?.get(slots[i] as number);
        const sampled = logits && row.sampler.sample(logits, positions[i] as number, mask);
        row.lastToken = sampled?.token ?? (ofDevice[i] as number);
        tokens.push(row.lastToken);
        logprobs.push(sampled ? sampled.logprobs : report?.read(i, row.lastToken));
      }
    }
    // Of a step that was enqueued while another one was computed, only its own time counts.
    const now = performance.now();
    const durationMs = now - Math.max(started, this.#finishedAt);
    this.#finishedAt = now;
    return { tokens, logprobs, durationMs, ...(swapped && { swapIn: swapped }) };
  }

  #row(slot: number): Row {
    const row = this.#rows.get(slot);
    if (row === undefined) throw new Error(`slot ${slot} serves no request`);
    return row;
  }
}

function rowOf(start: SlotStart): Row {
  const ownSeed = Math.floor(Math.random() * 2 ** 48);
  return { start, sampler: new Sampler(start), ownSeed, lastToken: 0 };
}
