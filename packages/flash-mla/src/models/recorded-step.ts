import type { Decode } from '@flash-mla/engine';
import type { Decoder, LayerCache, Rotation } from '@flash-mla/models';
import { embedding } from '../ops/embedding/index.ts';
import { sampleTokens } from '../ops/sampling/index.ts';
import type { Device, Graph } from '../runtime/device/device.ts';
import type { PinnedBuffer } from '../runtime/tensor/pinned-buffer.ts';
import type { Tensor } from '../runtime/tensor/tensor.ts';
import type { DeviceMatrix, DeviceOperations } from './device-operations.ts';
import type { DeviceRotation, StepInputs } from './step-tensors.ts';

/** What all recorded steps of a model share. */
export interface RecordingContext {
  readonly device: Device;
  readonly ops: DeviceOperations;
  readonly decoder: Decoder<DeviceMatrix>;
  readonly cache: readonly LayerCache<DeviceMatrix>[];
  readonly angles: RotationTable;
}

/** cos and sin of every position that a sequence can have, on the device: (positions, pairs). */
export class RotationTable implements Disposable {
  readonly cos: Tensor<'f32'>;
  readonly sin: Tensor<'f32'>;
  readonly pairs: DeviceRotation['pairs'];

  constructor(device: Device, { cos, sin, pairs, pairing }: Rotation) {
    const shape = [cos.length / pairs, pairs];
    this.pairs = pairing === 'halves' ? 'half' : 'interleaved';
    this.cos = device.tensor(cos, shape, 'f32');
    this.sin = device.tensor(sin, shape, 'f32');
  }

  [Symbol.dispose](): void {
    this.cos.dispose();
    this.sin.dispose();
  }
}

/**
 * A step of so many decodes, recorded once: a replay computes whatever the inputs say by then. It ends with
 * the likeliest token of each row, which becomes the row's next token id.
 */
export class RecordedStep implements Disposable {
  readonly rows: number;
  /** i32 (rows): the tokens that a replay begins with, and after it those that follow. */
  readonly ids: Tensor<'i32'>;
  readonly #device: Device;
  readonly #pageSize: number;
  readonly #blocks: number;
  /** i32: positions, slots, lengths, the block table. */
  readonly #inputs: Tensor<'i32'>;
  /** In turns: the device may still read what was uploaded for the step before. */
  readonly #staging: readonly PinnedBuffer[];
  readonly #recorded: { readonly graph: Graph; readonly logits: DeviceMatrix };
  readonly #owned: Disposable[] = [];
  #uploads = 0;

  /** Throws {@link OutOfMemoryError}; what was allocated is freed then. */
  constructor(context: RecordingContext, rows: number) {
    const { device, ops, decoder } = context;
    this.rows = rows;
    this.#device = device;
    this.#pageSize = ops.pageSize;
    this.#blocks = Math.ceil(decoder.maxPositions / ops.pageSize);
    const length = rows * (3 + this.#blocks);
    const own = <Owned extends Disposable>(owned: Owned): Owned => {
      this.#owned.push(owned);
      return owned;
    };
    try {
      this.#inputs = own(device.empty([length], 'i32'));
      this.ids = own(device.empty([rows], 'i32'));
      this.#staging = [0, 1].map(() => own(device.pinned(4 * (length + rows))));
      this.#recorded = this.#record(context);
      own(this.#recorded.graph);
      own(this.#recorded.logits);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** (rows, vocabulary), f32, of the last replay. */
  get logits(): DeviceMatrix {
    return this.#recorded.logits;
  }

  /**
   * Enqueues the step for these decodes. Rows behind them pad the batch, write to page 0 and mean nothing.
   *
   * @param tokens undefined: each row goes on with the token that the replay before has given it.
   */
  replay(decodes: readonly Decode[], tokens: ArrayLike<number> | undefined): void {
    const { rows } = this;
    const staging = this.#staging[this.#uploads++ % 2] as PinnedBuffer;
    const { buffer, byteOffset, byteLength } = staging.bytes;
    const words = new Int32Array(buffer, byteOffset, byteLength / 4);
    const length = rows * (3 + this.#blocks);
    words.fill(0);
    for (let i = 0; i < rows; i++) words[2 * rows + i] = 1;
    for (const [i, { position, pages }] of decodes.entries()) {
      const page = pages[Math.floor(position / this.#pageSize)] ?? 0;
      words[i] = position;
      words[rows + i] = page * this.#pageSize + (position % this.#pageSize);
      words[2 * rows + i] = position + 1;
      const at = 3 * rows + i * this.#blocks;
      const used = Math.floor(position / this.#pageSize) + 1;
      for (let j = 0; j < used; j++) words[at + j] = pages[j] ?? 0;
      words[length + i] = tokens?.[i] ?? 0;
    }
    this.#device.copy(staging, this.#inputs, { ranges: [{ byteLength: 4 * length }] });
    if (tokens !== undefined) {
      const ranges = [{ sourceOffset: 4 * length, byteLength: 4 * rows }];
      this.#device.copy(staging, this.ids, { ranges });
    }
    this.#recorded.graph.replay();
  }

  #record({ device, ops, decoder, cache, angles }: RecordingContext) {
    const { rows, ids } = this;
    const vector = (i: number) => this.#inputs.slice(0, i * rows, (i + 1) * rows);
    const positions = vector(0);
    const table = this.#inputs.slice(0, 3 * rows, rows * (3 + this.#blocks));
    const inputs: StepInputs = {
      ids,
      slots: vector(1),
      cacheSeqlens: vector(2),
      blockTable: table.reshape([rows, this.#blocks]),
      rotation: () => {
        const anglesOf = (of: Tensor<'f32'>) =>
          ops.keep(embedding({ table: of, ids: positions, dtype: 'f32' }));
        return { cos: anglesOf(angles.cos), sin: anglesOf(angles.sin), pairs: angles.pairs };
      },
    };
    // Where the rows are: the inputs say the rest.
    const sequences = Array.from({ length: rows }, (_, row) => {
      return { pages: [], start: 0, count: 1, row };
    });
    const zeros = new Int32Array(rows);
    const batch = { tokens: zeros, positions: zeros, sequences };
    let logits: DeviceMatrix | undefined;
    const graph = device.capture(() =>
      ops.enqueueStep(() => {
        const step = allOf(decoder.enqueue(batch, cache, Int32Array.from(zeros.keys())));
        logits = ops.detach(step.logits as DeviceMatrix);
        const sampled = sampleTokens({ logits, tokens: ids });
        ops.keep(sampled.logprobs);
      }, inputs),
    );
    return { graph, logits: logits as unknown as DeviceMatrix };
  }

  [Symbol.dispose](): void {
    // The graph first: it holds the memory of the others.
    for (const owned of this.#owned.reverse()) owned[Symbol.dispose]();
  }
}

/** Runs a generator to its end. */
export function allOf<Result>(work: Generator<void, Result>): Result {
  let next = work.next();
  while (next.done !== true) next = work.next();
  return next.value;
}
