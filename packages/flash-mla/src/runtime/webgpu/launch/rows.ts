import { dtypeSize } from '@flash-mla/core';
import type { TensorView } from '../../tensor/view.ts';
import type { LaunchTarget } from '../runtime/runtime.ts';
import { strideOf } from '../runtime/views.ts';
import type { BoundTensor } from './bind-all.ts';
import { positionsPerBinding, slicePositions } from './slices.ts';

/** Calls back with as many rows of all matrices at a time as fit a binding. */
export function eachRows<V extends Readonly<Record<string, TensorView>>>(
  runtime: LaunchTarget,
  views: V,
  launch: (part: V, rows: number) => void,
): void {
  const list = Object.values(views);
  const rows = list[0]?.shape[0] ?? 0;
  const most = Math.min(...list.map((view) => positionsPerBinding(runtime, view)));
  for (let first = 0; first < rows; first += most) {
    const end = Math.min(rows, first + most);
    const part = Object.fromEntries(
      Object.entries(views).map(([name, view]) => [name, slicePositions(view, first, end)]),
    );
    launch(part as V, end - first);
  }
}

/** Whether rows of `columns` that are written consist of whole words. */
export function hasWholeWords(
  view: TensorView,
  bound: BoundTensor | undefined,
  columns: number,
): boolean {
  const counts = [bound?.start ?? 0, strideOf(view, 0)];
  return columns % 2 === 0 && counts.every((n) => (n * dtypeSize(view.dtype)) % 4 === 0);
}

export const resourcesOf = (bound: Readonly<Record<string, BoundTensor>>) =>
  Object.fromEntries(Object.entries(bound).map(([name, { resource }]) => [name, resource]));
