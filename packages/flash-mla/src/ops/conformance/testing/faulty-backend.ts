import type { Backend } from '../../../runtime/device/backend.ts';
import { Device } from '../../../runtime/device/device.ts';
import type { AnyOperation, Operation } from '../../../runtime/operation/operation.ts';
import type { TensorView } from '../../../runtime/tensor/view.ts';
import type {
  DenseAttentionArgs,
  DenseDecodeArgs,
  SparseDecodeArgs,
  SparsePrefillArgs,
} from '../../attention/contract.ts';
import type { ComputeScheduleArgs } from '../../attention/schedule-contract.ts';
import type { AppendArgs } from '../../kv-cache/contract.ts';

/** What a backend that has one bug does instead of what it is asked to do. */
export interface Fault {
  readonly denseDecode?: (args: DenseDecodeArgs) => DenseDecodeArgs;
  readonly sparseDecode?: (args: SparseDecodeArgs) => SparseDecodeArgs;
  readonly sparsePrefill?: (args: SparsePrefillArgs) => SparsePrefillArgs;
  readonly denseAttention?: (args: DenseAttentionArgs) => DenseAttentionArgs;
  readonly appendKvCache?: (args: AppendArgs) => AppendArgs;
  readonly computeSchedule?: (args: ComputeScheduleArgs) => ComputeScheduleArgs;
}

/** A device whose backend works, but for one fault. Shares memory with the device it wraps. */
export function faultyDevice(device: Device, fault: Fault): Device {
  const { backend } = device;
  const faulty = new Proxy(backend, {
    get(target, name) {
      const method = target[name as keyof Backend];
      if (typeof method !== 'function') return method;
      if (name !== 'run') return method.bind(target);
      return (operation: AnyOperation, args: object) => {
        const change = fault[operation.name as keyof Fault] as
          | ((args: object) => object)
          | undefined;
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
