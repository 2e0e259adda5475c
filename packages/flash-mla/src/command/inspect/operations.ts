import type {
  BenchOperation,
  InspectLine,
  OperationBench,
  ProblemOptions,
} from '../../ops/bench/operation.ts';
import { operationTools } from '../../ops/operation-tools.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { AnyOperation } from '../../runtime/operation/operation.ts';
import type { HasDefaults } from '../bench/defaults.ts';

/** An operation that can be inspected: sizes come from the options of `bench`. */
export interface InspectOperation extends HasDefaults {
  readonly accepts: readonly (keyof ProblemOptions)[];
  /** What of the traced calls is shown. */
  readonly operation: AnyOperation;
  /** The kinds of devices that have kernels for it. */
  readonly inspects: readonly ('cuda' | 'webgpu')[];
  /** See {@link OperationBench.machineCode}. */
  readonly machineCode?: OperationBench['machineCode'];
  /** Only this launch of the operation. */
  readonly role?: string;
  /** Makes inputs, to run the operation in the simulator. */
  readonly bench?: BenchOperation;
  /** Makes the public call, with empty tensors of the problem's sizes. */
  call(device: Device, options: ProblemOptions): void;
  /** Bytes of its inputs and outputs. */
  footprint(options: ProblemOptions): number;
}

function ofBench(bench: OperationBench): InspectOperation {
  const { name, accepts, defaults, derived, operation, inspects, machineCode } = bench;
  return {
    ...{ name, accepts, defaults, derived, operation, inspects, bench },
    ...(machineCode && { machineCode }),
    footprint: (options) => bench.problem(options, 'gpu').footprint,
    call: (device, options) => bench.call(device, bench.problem(options, 'gpu')),
  };
}

function ofLine({
  name,
  bench,
  operation,
  role,
  machineCode,
  call,
}: InspectLine): InspectOperation {
  const { bench: runnable, call: benchCall, machineCode: _, ...sizes } = ofBench(bench);
  return {
    ...{ ...sizes, name, operation },
    ...(role !== undefined && { role }),
    ...(machineCode && { machineCode }),
    // A call of its own is none that the benchmark makes.
    ...(call === undefined && runnable !== undefined && { bench: runnable }),
    call: call ? (device, options) => call(device, bench.problem(options, 'gpu')) : benchCall,
  };
}

const list = operationTools.flatMap(({ benches, inspects = [] }) => [
  ...benches.filter((bench) => bench.inspects.length > 0).map(ofBench),
  ...inspects.map(ofLine),
]);

/** By name, in the order of the help. */
export const inspectOperations: ReadonlyMap<string, InspectOperation> = new Map(
  list.map((operation) => [operation.name, operation]),
);
