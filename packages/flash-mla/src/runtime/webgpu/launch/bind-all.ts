import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../tensor/view.ts';
import type { LaunchTarget } from '../runtime/runtime.ts';
import { type BoundRange, type ByteRange, rangeOf } from '../runtime/views.ts';
import { copyBytes, wholeBuffer, withInput, withOutput } from './buffers.ts';

/** The tensors of a call by the names of their bindings; those that are absent are left out. */
export interface BoundTensors {
  readonly reads: Readonly<Record<string, TensorView | undefined>>;
  /** Written in part or whole; what is not written stays. */
  readonly writes: Readonly<Record<string, TensorView | undefined>>;
}

/** A bound tensor. */
export interface BoundTensor {
  readonly resource: GPUBufferBinding;
  /** The first element, counted in the binding; a multiple of four bytes where the tensor is written. */
  readonly start: number;
}

/**
 * Binds all tensors of a call. WebGPU binds no buffer twice if one of the bindings is written: what
 * shares a buffer with something that is written is bound as a copy.
 */
export function bindAll(
  runtime: LaunchTarget,
  { reads, writes }: BoundTensors,
  enqueue: (bound: Readonly<Record<string, BoundTensor>>) => void,
): void {
  const written = present(writes);
  const bound: Record<string, BoundTensor> = {};
  let next = () => enqueue(bound);
  const noting = (name: string, view: TensorView, inner: () => void) => (range: BoundRange) => {
    const { resource, firstByte } = range;
    bound[name] = { resource, start: firstByte / dtypeSize(view.dtype) };
    inner();
  };
  for (const [name, view] of present(reads)) {
    const inner = next;
    const shares = written.some(([, other]) => other.buffer === view.buffer);
    next = () => withInput(runtime, name, rangeOf(view), noting(name, view, inner), shares);
  }
  for (const [index, [name, view]] of written.entries()) {
    const inner = next;
    const shares = written.some(([, other], i) => i < index && other.buffer === view.buffer);
    const bind = shares ? withCopy : withOutput;
    next = () => bind(runtime, name, rangeOf(view), noting(name, view, inner), true);
  }
  next();
}

function present(views: BoundTensors['reads']): [string, TensorView][] {
  return Object.entries(views).filter((entry): entry is [string, TensorView] => !!entry[1]);
}

/** Binds a copy of a range, and copies it back. */
function withCopy(
  runtime: LaunchTarget,
  _name: string,
  range: ByteRange,
  enqueue: (bound: BoundRange) => void,
): void {
  const length = range.end - range.begin;
  runtime.withScratch(length, (scratch) => {
    const moved = { buffer: scratch, begin: 0, end: length };
    copyBytes(runtime, range, moved);
    enqueue({ resource: wholeBuffer(scratch), firstByte: 0 });
    copyBytes(runtime, moved, range);
  });
}
