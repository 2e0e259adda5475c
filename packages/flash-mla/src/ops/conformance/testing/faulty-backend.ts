import type { Backend } from '../../../runtime/device/backend.ts';
import { Device } from '../../../runtime/device/device.ts';
import type { AnyOperation, Operation } from '../../../runtime/operation/operation.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';

/**
 * What a backend that has one bug does instead of what it is asked to do: by the name of an operation, how
 * the arguments of a call are changed.
 */
export type Fault = Readonly<Record<string, ((args: never) => object) | undefined>>;

/** A device whose backend works, but for one fault. Shares memory with the device it wraps. */
export function faultyDevice(device: Device, fault: Fault): Device {
  const { backend } = device;
  const faulty = new Proxy(backend, {
    get(target, name) {
      const method = target[name as keyof Backend];
      if (typeof method !== 'function') return method;
      if (name !== 'run') return method.bind(target);
      return (operation: AnyOperation, args: object) => {
        const change = fault[operation.name] as ((args: object) => object) | undefined;
        target.run(operation as Operation<object, never, unknown>, change ? change(args) : args);
      };
    },
  });
  return new Device(faulty, false, []);
}

/** The same memory without the last entry of a dimension. */
export function shortened(view: TensorView, dimension: number): TensorView {
  // Written out: the buffer of a tensor is no property of its own that a spread would copy.
  const { buffer, byteOffset, dtype, strides } = view;
  const shape = view.shape.map((n, d) => (d === dimension ? Math.max(0, n - 1) : n));
  return { buffer, byteOffset, dtype, shape, strides };
}
