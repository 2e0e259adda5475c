import { DisposedError, InvalidArgumentError } from '@flash-mla/core';
import type { Tensor, TensorHost } from '../../../runtime/tensor/tensor.ts';
import type { Schedule } from '../schedule-contract.ts';
import { type ScheduleRequest, TileSchedulerMetadata } from './tile-scheduler-metadata.ts';

/** What a {@link FlashMlaSchedMeta} fixes at its first use. Names follow FlashMLA's `Config`. */
export interface SchedMetaConfig {
  /** Batch size. */
  readonly b: number;
  /** Queries per request. */
  readonly sQ: number;
  /** Query heads. */
  readonly hQ: number;
  /** Tokens of a block of `kCache`. */
  readonly pageBlockSize: number;
  /** KV heads. */
  readonly hK: number;
  readonly causal: boolean;
  readonly isFp8KvCache: boolean;
  /** Width of `indices`; null: dense. */
  readonly topk: number | null;
  /** Tokens of a block of `extraKCache`; null: no extra cache. */
  readonly extraPageBlockSize: number | null;
  /** Width of `extraIndicesInKvCache`; null: no extra cache. */
  readonly extraTopk: number | null;
  /** Not in FlashMLA: head dimensions and whether splits are fixed. */
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly deterministic: boolean;
}

interface Filled {
  readonly device: TensorHost;
  readonly config: SchedMetaConfig;
  readonly tensors: TileSchedulerMetadata;
  /** When the tensors were computed; −1: they have to be again. */
  epoch: number;
}

/** The schedule of a call: computed, recomputed or reused. For the operations of this library. */
export let scheduleOf: (
  meta: FlashMlaSchedMeta,
  config: SchedMetaConfig,
  request: ScheduleRequest,
) => Schedule;

/** Throws unless `config` is what the first use fixed. Enqueues nothing. */
export let checkSchedMeta: (
  meta: FlashMlaSchedMeta,
  config: SchedMetaConfig,
  device: TensorHost,
) => void;

/** Makes an object unused again, because the call that filled it failed. */
export let unfillSchedMeta: (meta: FlashMlaSchedMeta) => void;

/**
 * Scheduling metadata of one decode problem, from `getMlaMetadata()`. The first
 * `flashMlaWithKvCache` that takes it fixes its {@link config} and computes the metadata on the device;
 * later calls (the other layers of a model) reuse them and must have the same configuration.
 *
 * The metadata hold while the values of `cacheSeqlens`, `topkLength` and `extraTopkLength` hold. When
 * they change, take a new object or call {@link reset}. Inside `device.capture` the first call with
 * this object records the computation, so that lengths may change between replays.
 *
 * Holds device memory: dispose of it after its last use. Source: FlashMLA's `FlashMLASchedMeta`.
 */
export class FlashMlaSchedMeta implements Disposable {
  #filled: Filled | null = null;
  #disposed = false;

  static {
    scheduleOf = (meta, config, request) => meta.#schedule(config, request);
    checkSchedMeta = (meta, config, device) => meta.#check(config, device);
    unfillSchedMeta = (meta) => {
      meta.#filled?.tensors.dispose();
      meta.#filled = null;
    };
  }

  /** Whether a call has fixed the configuration. */
  get haveInitialized(): boolean {
    return this.#filled !== null;
  }

  /** What the first call fixed; null before. */
  get config(): SchedMetaConfig | null {
    return this.#filled?.config ?? null;
  }

  /** i32 (parts, 8), see `TileSchedule.metadata`; null before the first call. */
  get tileSchedulerMetadata(): Tensor<'i32'> | null {
    return this.#filled?.tensors ?? null;
  }

  /** i32 (b + 1): prefix sums of the splits of each request; null before the first call. */
  get numSplits(): Tensor<'i32'> | null {
    return this.#filled?.tensors.numSplits ?? null;
  }

  /** The lengths have changed: the next call computes the metadata again, in the same memory. */
  reset(): void {
    if (this.#filled) this.#filled.epoch = -1;
  }

  /** Frees the metadata once the work that uses them is done. Idempotent. */
  dispose(): void {
    this.#disposed = true;
    this.#filled?.tensors.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #check(config: SchedMetaConfig, device: TensorHost): void {
    if (this.#disposed) throw new DisposedError('schedMeta');
    const filled = this.#filled;
    if (filled === null) return;
    if (filled.device !== device) {
      throw new InvalidArgumentError(
        'schedMeta',
        `one first used on device '${device.id}'`,
        `one of another device, '${filled.device.id}'`,
        helper,
      );
    }
    if (isSameConfig(filled.config, config)) return;
    for (const field of fields) {
      if (filled.config[field] === config[field]) continue;
      throw new InvalidArgumentError(
        `schedMeta.${field}`,
        `${filled.config[field]} as in its first use`,
        `${config[field]}`,
        helper,
      );
    }
  }

  #schedule(config: SchedMetaConfig, request: ScheduleRequest): Schedule {
    const { device } = request;
    if (this.#filled === null) {
      const tensors = TileSchedulerMetadata.compute(request);
      this.#filled = { device, config, tensors, epoch: device.epoch };
    } else if (this.#filled.epoch !== device.epoch) {
      this.#filled.tensors.recompute(request);
      this.#filled.epoch = device.epoch;
    }
    return this.#filled.tensors.schedule;
  }
}

const helper = 'Take a new object from getMlaMetadata() for calls that differ.';

const fields = [
  'b',
  'sQ',
  'hQ',
  'pageBlockSize',
  'hK',
  'causal',
  'isFp8KvCache',
  'topk',
  'extraPageBlockSize',
  'extraTopk',
  'headDimQk',
  'headDimV',
  'deterministic',
] as const satisfies readonly (keyof SchedMetaConfig)[];

/** Written out, because it runs on every call: a loop over the names takes thirty times as long. */
function isSameConfig(a: SchedMetaConfig, b: SchedMetaConfig): boolean {
  return (
    a.b === b.b &&
    a.sQ === b.sQ &&
    a.hQ === b.hQ &&
    a.pageBlockSize === b.pageBlockSize &&
    a.hK === b.hK &&
    a.causal === b.causal &&
    a.isFp8KvCache === b.isFp8KvCache &&
    a.topk === b.topk &&
    a.extraPageBlockSize === b.extraPageBlockSize &&
    a.extraTopk === b.extraTopk &&
    a.headDimQk === b.headDimQk &&
    a.headDimV === b.headDimV &&
    a.deterministic === b.deterministic
  );
}
