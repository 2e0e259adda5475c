import type { KernelNames } from '../../runtime/cpu/native/kernel-names.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { AnyOperation } from '../../runtime/operation/operation.ts';

/** Options that describe a problem, as `bench` takes them. What an operation has no use for it refuses. */
export interface ProblemOptions {
  readonly b?: number;
  readonly sQ?: number;
  readonly hQ?: number;
  readonly hKv?: number;
  readonly sK?: number;
  readonly dQk?: number;
  readonly dV?: number;
  readonly topk?: number;
  readonly extraTopk?: number;
  readonly extraLen?: boolean;
  readonly kvLayout?: 'v32' | 'model1' | 'bf16';
  readonly pageSize?: number;
  readonly extraPageSize?: number;
  readonly varlen?: boolean;
  readonly causal?: boolean;
  readonly dtype?: 'bf16' | 'f16' | 'e4m3';
  readonly rows?: number;
  readonly columns?: number;
  readonly depth?: number;
}

/** Sizes that suit a processor or a GPU. */
export type Scale = 'cpu' | 'gpu';

/** A problem with every size decided: plain data. */
export interface BenchProblem {
  /** The columns that tell rows of a result file apart, named as in FlashMLA's measurements. */
  readonly row: RowKey;
  /** Floating-point operations and bytes moved (queries, cache rows touched, output) of one call. */
  readonly flops: number;
  readonly bytes: number;
  /** Device memory of one set of inputs. */
  readonly footprint: number;
}

export type RowKey = Readonly<Record<string, string | number | boolean>> & { readonly op: string };

/** Inputs on a device, ready to run. */
export interface PreparedProblem {
  /** Enqueues one call on set `copy` of the inputs. Allocates nothing, so that it can be captured. */
  enqueue(copy: number): void;
  dispose(): void;
}

/** What `flash-mla bench` knows of an operation. */
export interface BenchOperation<P extends BenchProblem = BenchProblem> {
  /** As the command line names it. */
  readonly name: string;
  readonly summary: string;
  readonly accepts: readonly (keyof ProblemOptions)[];
  /** What `problem` takes where an option is not given; less what follows from other options. */
  defaults(scale: Scale): ProblemOptions;
  /** Which options follow from others and how, for the help. */
  readonly derived?: string;
  /**
   * Fills in what is not given. Throws {@link UsageError} or {@link InvalidArgumentError} for what no
   * kernel takes. Does not build what is as large as the problem.
   */
  problem(options: ProblemOptions, scale: Scale): P;
  /** The problems of `bench suite`. */
  suite(scale: Scale): readonly ProblemOptions[];
  /** Uploads `copies` sets of inputs. */
  prepare(device: Device, problem: P, copies: number): Promise<PreparedProblem>;
}

/** The benchmark of an operation, from which `inspect` works, too. */
export interface OperationBench<P extends BenchProblem = BenchProblem> extends BenchOperation<P> {
  /** The kinds of devices whose kernels `inspect` can show. */
  readonly inspects: readonly ('cuda' | 'webgpu')[];
  /** The machine code of the processor that can run it, best first; absent: WebAssembly does all of it. */
  readonly machineCode?: readonly (keyof KernelNames)[];
  /** What of the traced calls `inspect` shows. */
  readonly operation: AnyOperation;
  /** Makes the public call, with empty tensors of the problem's sizes. */
  call(device: Device, problem: P): void;
}

/** Something else of an operation that `inspect` shows, in the sizes of a benchmark. */
export interface InspectLine {
  readonly name: string;
  readonly bench: OperationBench;
  /** What of the traced calls is shown. */
  readonly operation: AnyOperation;
  /** Only this launch of the operation. */
  readonly role?: string;
  /** See {@link OperationBench.machineCode}. */
  readonly machineCode?: OperationBench['machineCode'];
  /** Makes the public call; absent: the benchmark's. */
  call?(device: Device, problem: BenchProblem): void;
}
