import {
  type ParamDecls,
  type ParamSlot,
  type TensorMapDescription,
  tensorMapBytes,
} from '@flash-mla/ptx';
import { KernelCompileError } from '../../../errors.ts';
import type { PreparedRun } from '../driver/driver.ts';
import type { PreparedLaunch } from '../kernel-family.ts';
import { tensorMapSetter } from './tensor-map-setter.ts';

/** Puts typed parameters on top of a driver's prepared run. */
export function preparedLaunch<P extends ParamDecls>(
  name: string,
  slots: readonly ParamSlot[],
  run: PreparedRun,
  isEmpty: boolean,
  encodeTensorMap: (map: TensorMapDescription) => Uint8Array,
): PreparedLaunch<P> {
  return {
    setter(parameter) {
      const slot = slots.find((candidate) => candidate.name === parameter);
      if (slot === undefined || slot.count !== 1) {
        throw new KernelCompileError(name, `it has no scalar parameter '${parameter}'.`);
      }
      return setterOf(run.parameters, slot);
    },
    tensorMapSetter(parameter) {
      const slot = slots.find((candidate) => candidate.name === parameter);
      if (slot === undefined || slot.bytes !== tensorMapBytes || slot.align !== 64) {
        throw new KernelCompileError(name, `it has no tensor map '${parameter}'.`);
      }
      return tensorMapSetter(run.parameters, slot.offset, encodeTensorMap);
    },
    // A grid without CTAs is no launch to the driver, but no work to the caller.
    enqueue: isEmpty ? () => {} : () => run.run(),
  };
}

function setterOf(view: DataView, { type, offset, bytes }: ParamSlot): (value: number) => void {
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
