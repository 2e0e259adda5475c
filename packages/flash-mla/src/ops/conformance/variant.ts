import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import type { AnswerName } from './problem.ts';
import type { Place } from './upload.ts';

/** How a problem is put to the public API; all ways must give the same answers. */
export interface Variant {
  /** The form of scheduling metadata: the object of the first call, or tensors computed before it. */
  readonly metadata?: 'object' | 'tensors';
  readonly deterministic?: boolean;
  /** Elements of poison between the rows of inputs; 0: contiguous inputs. */
  readonly gap?: number;
  /** Where tensors lie in memory, given outputs too; instead of `gap`. They are watched. */
  readonly placement?: Placement | undefined;
  /** `new`: the operation allocates its outputs. Default `given`. */
  readonly outputs?: 'given' | 'new';
  /** Metadata tensors serve all calls until {@link Operation.reset}. Default: computed for each. */
  readonly keepMetadata?: boolean;
  /** Where a call states the longest lengths: which. Default: the real ones. */
  readonly longest?: { readonly queries: number; readonly keys: number } | undefined;
}

/** Chooses a place for a tensor. */
export type Placement = (name: string, host: HostTensor, rule: PlacementRule) => Place;

/**
 * What the API asks of a tensor's strides: nothing but contiguous rows; all rows of one request and then
 * those of the next (`together`); no gap at all, `aligned` at a multiple of 16 bytes; no element twice (`disjoint`);
 * or those of packed rows.
 */
export type PlacementRule =
  | 'any'
  | 'together'
  | 'contiguous'
  | 'aligned'
  | 'disjoint'
  | 'v32'
  | 'model1';

/** A problem on a device, ready to be called any number of times. */
export interface Operation {
  /** Enqueues the operation, which overwrites {@link results}. */
  enqueue(): void;
  readonly results: Readonly<Partial<Record<AnswerName, Tensor>>>;
  /** Tensors of lengths and slots: what may change between the replays of a graph. */
  readonly lengths: readonly Lengths[];
  /** Where a call changes a tensor and does not overwrite all of it: makes it what it was before. */
  restore?(): void;
  /** Lengths have changed: metadata are computed again by the next call. */
  reset(): void;
  /** What the calls changed that they must not change, of what `placement` placed. */
  changes(): Promise<string[]>;
  dispose(): void;
}

/** A tensor whose values may change between calls and between the replays of a graph. */
export interface Lengths {
  /** The argument of the operation; of the second cache as `extra.name`. */
  readonly name: string;
  /** Those of the problem. */
  readonly values: LengthValues;
  /** Overwrites the tensor. */
  write(values: LengthValues): void;
}

export type LengthValues = Int32Array | BigInt64Array;
