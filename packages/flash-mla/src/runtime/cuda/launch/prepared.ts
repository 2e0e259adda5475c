import {
  type ParamDecls,
  type ParamSlot,
  type TensorMapDescription,
  tensorMapBytes,
} from '@flash-mla/ptx';
import type { PreparedRun } from '../driver/driver.ts';
import type { ParamSetters, PreparedLaunch } from '../kernel.ts';
import { tensorMapSetter } from './tensor-map-setter.ts';

/** Puts typed parameters on top of a driver's prepared run. */
export function preparedLaunch<P extends ParamDecls>(
  slots: readonly ParamSlot[],
  run: PreparedRun,
  encodeTensorMap: (map: TensorMapDescription) => Uint8Array,
): PreparedLaunch<P> {
  const { parameters } = run;
  const set = Object.fromEntries(
    slots.map((slot) => [slot.name, setterOf(parameters, slot, encodeTensorMap)]),
  );
  return {
    set: set as unknown as ParamSetters<P>,
    enqueue(call, grid) {
      // A grid without CTAs is no launch to the driver, but no work to the caller.
      if (grid[0] * grid[1] * grid[2] > 0) run.run(grid, call.stream);
    },
  };
}

function setterOf(
  view: DataView<ArrayBuffer>,
  slot: ParamSlot,
  encodeTensorMap: (map: TensorMapDescription) => Uint8Array,
) {
  const { type, offset, bytes, count, align } = slot;
  if (bytes === tensorMapBytes && align === 64) {
    return tensorMapSetter(view, offset, encodeTensorMap);
  }
  const size = bytes / count;
  const elements = Array.from({ length: count }, (_, i) =>
    scalarSetter(view, type, offset + i * size, size),
  );
  const [scalar] = elements;
  if (count === 1) return scalar;
  return (values: readonly number[]): void => {
    for (let i = 0; i < count; i++) elements[i]?.(values[i] ?? 0);
  };
}

function scalarSetter(
  view: DataView,
  type: ParamSlot['type'],
  offset: number,
  bytes: number,
): (value: number) => void {
  if (bytes === 8) {
    // `>>> 0` is the value modulo 2^32, several times as fast as `%`.
    return (value) => {
      const low = value >>> 0;
      view.setUint32(offset, low, true);
      view.setInt32(offset + 4, (value - low) * 2 ** -32, true);
    };
  }
  if (type === 'f32') return (value) => view.setFloat32(offset, value, true);
  return (value) => view.setInt32(offset, value, true);
}
