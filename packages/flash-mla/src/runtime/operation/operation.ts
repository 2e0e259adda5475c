import type { TensorView } from '../tensor/view.ts';
import type { NumberCheck } from './number-check.ts';

/**
 * Something that a device can be asked to do: a name, the memory that a call uses, and what debug mode
 * looks at. It says nothing of how: kernels for it are registered with each kind of device and found
 * by this object's identity.
 *
 * `Args` are the arguments of a call: tensors and plain values, checked before they come here.
 * `Shape` and `Traits`: a question that may be asked before a call, and what the kernel that would
 * run says about itself (see `Backend.traits`); `never` where an operation has none.
 */
export interface Operation<Args extends object, Shape = never, Traits = never> {
  /** For messages and tables: `denseDecode`. */
  readonly name: string;
  /** The tensors that a call reads; those that are absent from a call may be undefined. */
  reads(args: Args): readonly (TensorView | undefined)[];
  /** The tensors that a call writes. */
  writes(args: Args): readonly (TensorView | undefined)[];
  /** Debug mode: what must hold of the numbers in a call's tensors. */
  checks?(args: Args): readonly NumberCheck[];
  /** Never present: ties the types of the question and its answer to the operation. */
  readonly question?: (shape: Shape) => Traits;
}

/** An operation whose types are not known here. */
export type AnyOperation = Operation<never, never, unknown>;

/** Defines an operation. Its identity is what kernels are registered for: define it once. */
export function defineOperation<Args extends object, Shape = never, Traits = never>(
  operation: Operation<Args, Shape, Traits>,
): Operation<Args, Shape, Traits> {
  return Object.freeze(operation);
}
