/** Operations on tensors that lie outside the device's memory. */

import { dtypeSize, UnsupportedOperationError } from '@flash-mla/core';
import type { Backend } from '../device/backend.ts';
import type { Operation } from '../operation/operation.ts';
import type { TensorView } from '../tensor/view.ts';
import { asCpuBuffer } from './commands/address.ts';
import type { CommandContext } from './commands/context.ts';
import type { AnyCpuKernel } from './kernel.ts';
import type { CpuBuffer } from './memory/heap.ts';

export interface FarRun<Args> {
  readonly context: CommandContext;
  readonly backend: Pick<Backend, 'allocate' | 'copy' | 'release' | 'info'>;
  /** Enqueues the operation. */
  run(args: Args): void;
  /** Within a capture: what its replays need. */
  readonly keep: CpuBuffer[] | undefined;
}

/**
 * Runs an operation. Tensors outside the device's memory that its kernel does not take are copied into it first, and
 * back afterwards where they are written. Throws `OutOfMemoryError` where there is no room for the copies.
 */
export function runOnFar<Args extends object>(
  operation: Operation<Args, never, unknown>,
  kernel: AnyCpuKernel,
  args: Args,
  { context, backend, run, keep }: FarRun<Args>,
): void {
  const isFar = (view: TensorView | undefined): view is TensorView =>
    view !== undefined && asCpuBuffer(view.buffer).base !== 0;
  const written = operation.writes(args).filter(isFar);
  const far = new Set([...operation.reads(args).filter(isFar), ...written]);
  const staged = [...far].filter((view) => !kernel.takesFar?.(context, args, view));
  if (staged.length === 0) {
    run(args);
    return;
  }
  const copies = new Map<TensorView, TensorView>();
  try {
    for (const view of staged) {
      const buffer = backend.allocate(extentBytes(view));
      const { dtype, shape, strides } = view;
      copies.set(view, { buffer, byteOffset: 0, dtype, shape, strides });
      backend.copy(view.buffer, view.byteOffset, buffer, 0, extentBytes(view));
    }
    run(
      withCopies(
        args,
        copies,
        () => new UnsupportedOperationError(operation.name, backend.info.id),
      ),
    );
    for (const view of written) {
      const copy = copies.get(view);
      if (copy) backend.copy(copy.buffer, 0, view.buffer, view.byteOffset, extentBytes(view));
    }
  } finally {
    for (const { buffer } of copies.values()) {
      if (keep) keep.push(asCpuBuffer(buffer));
      else backend.release(buffer);
    }
  }
}

/** Bytes from the first element to the end of the last. */
function extentBytes({ shape, strides, dtype }: TensorView): number {
  if (shape.some((n) => n === 0)) return 0;
  const last = shape.reduce((sum, n, i) => sum + (n - 1) * (strides[i] ?? 0), 0);
  return (last + 1) * dtypeSize(dtype);
}

/** Arguments with other tensors in their place. */
function withCopies<Args extends object>(
  args: Args,
  copies: ReadonlyMap<TensorView, TensorView>,
  missing: () => Error,
): Args {
  const left = new Set(copies.keys());
  const entries = Object.entries(args).map(([name, value]) => {
    const copy = copies.get(value as TensorView);
    left.delete(value as TensorView);
    return [name, copy ?? value] as const;
  });
  if (left.size > 0) throw missing();
  return Object.fromEntries(entries) as Args;
}
