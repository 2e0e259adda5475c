import type { Kernel } from '../builder/kernel.ts';
import { DeclarationError } from '../errors.ts';
import type { ParamDecls, ParamInputs } from '../layout/params.ts';
import { compile } from './compile/compile.ts';
import type { Counters } from './counters.ts';
import type { Footprint } from './footprint.ts';
import { Launch } from './launch.ts';
import type { MatrixSums } from './machine.ts';
import type { SimMemory } from './memory.ts';

/** A launch in the simulator. */
export interface SimulateOptions<P extends ParamDecls> {
  /** CTAs of the grid. */
  readonly grid: readonly [number, number?, number?];
  /** Parameters by name, or already packed. */
  readonly params: ParamInputs<P> | Uint8Array;
  readonly memory: SimMemory;
  /** Architecture to build the kernel for; decides which of its paths run. `sm_90a` by default. */
  readonly target?: string;
  /** Dynamic shared memory, if more than the kernel's layout needs. */
  readonly sharedBytes?: number;
  /** Report races in shared memory; on by default. */
  readonly races?: boolean;
  /** Report reads of what other CTAs wrote without fences; on by default. */
  readonly publication?: boolean;
  /**
   * `exact` (the default): matrix multiplications round once. `h200`: bit for bit what an H200's
   * tensor cores give, several times slower.
   */
  readonly matrixSums?: MatrixSums;
  /** CTAs of a cluster; the kernel's own unless given. */
  readonly cluster?: readonly [number, number, number];
  /**
   * Bulk copies and asynchronous stores arrive as late as they can, in the order of their start; with
   * a seed at times and in an order drawn from it. A right kernel does not notice.
   */
  readonly deliverySeed?: number;
  /** CTAs start from the last to the first, which a right kernel does not notice. */
  readonly reversed?: boolean;
  /** CTAs that may be in flight together, for kernels whose CTAs wait for one another. */
  readonly maxResident?: number;
  /** Learns which bytes of global memory the launch reads and writes. */
  readonly footprint?: Footprint;
  /** Rounds of loops, over all warps, after which the kernel counts as endless. */
  readonly maxRounds?: number;
}

/**
 * Runs a kernel on the CPU, instruction by instruction as the builder wrote it.
 * @returns what it did, added up.
 * @throws SimulationError when the kernel breaks a rule of the machine: the error's `kind` says
 * which, its `place` where.
 */
export function simulate<P extends ParamDecls>(
  kernel: Kernel<P>,
  options: SimulateOptions<P>,
): Counters {
  const steps = simulateInSteps(kernel, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** {@link simulate} that pauses whenever a CTA has ended, for callers that have other work as well. */
export function* simulateInSteps<P extends ParamDecls>(
  kernel: Kernel<P>,
  options: SimulateOptions<P>,
): Generator<void, Counters> {
  const [x, y = 1, z = 1] = options.grid;
  if ([x, y, z].some((n) => !Number.isInteger(n) || n < 1)) {
    throw new DeclarationError(`kernel ${kernel.name}: impossible grid [${x}, ${y}, ${z}]`);
  }
  const cluster = options.cluster ?? kernel.cluster;
  if ([x, y, z].some((n, i) => n % cluster[i] !== 0)) {
    throw new DeclarationError(
      `kernel ${kernel.name}: the grid [${x}, ${y}, ${z}] does not consist of clusters [${cluster.join(', ')}]`,
    );
  }
  const { params, memory, target = 'sm_90a' } = options;
  const compiled = compile(kernel.program(target), () => kernel.program(target, true));
  const launch = new Launch(compiled, memory, {
    grid: [x, y, z],
    cluster,
    sharedBytes: Math.max(options.sharedBytes ?? 0, kernel.sharedBytes),
    params: params instanceof Uint8Array ? params : kernel.packParams(params as ParamInputs<P>),
    races: options.races ?? true,
    publication: options.publication ?? true,
    matrixSums: options.matrixSums ?? 'exact',
    maxResident: options.maxResident ?? 264,
    maxRounds: options.maxRounds ?? 1e9,
    deliverySeed: options.deliverySeed,
    reversed: options.reversed ?? false,
    footprint: options.footprint,
  });
  yield* launch.steps();
  return launch.counters;
}
