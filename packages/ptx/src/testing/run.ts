import { expect } from 'vitest';
import {
  type Counters,
  defineKernel,
  type FaultKind,
  global,
  type KernelBuilder,
  type PointerParam,
  type SharedDecls,
  SimMemory,
  SimulationError,
  simulate,
} from '../index.ts';

/** A kernel over one input and one output array of u32, with an extra scalar. */
export type TestBuilder<S extends SharedDecls> = KernelBuilder<
  { x: PointerParam<'u32'>; out: PointerParam<'u32'>; n: 'u32' },
  S
>;

/** Options of {@link runKernel}. */
export interface RunOptions<S extends SharedDecls> {
  readonly threads?: number;
  readonly grid?: number;
  readonly shared?: S;
  readonly target?: string;
  /** Elements of the input, which holds 0, 1, 2, … */
  readonly inputs?: number;
  readonly outputs?: number;
  readonly n?: number;
  readonly races?: boolean;
  readonly maxRounds?: number;
}

/** Builds and runs a kernel; gives its output and counters. */
export function runKernel<const S extends SharedDecls = Record<never, never>>(
  options: RunOptions<S>,
  build: (k: TestBuilder<S>) => void,
): { out: Uint32Array; counters: Counters } {
  const { threads = 32, grid = 1, inputs = 256, outputs = 256, n = 0, target = 'sm_90a' } = options;
  const kernel = defineKernel(
    {
      name: 'test_kernel',
      params: { x: global('u32'), out: global('u32'), n: 'u32' },
      shared: options.shared ?? ({} as S),
      block: [threads],
    },
    (k) => build(k as unknown as TestBuilder<S>),
  );
  const memory = new SimMemory();
  const x = memory.allocFrom(Uint32Array.from({ length: inputs }, (_, i) => i));
  const out = memory.allocFrom(new Uint32Array(outputs));
  const { races, maxRounds } = options;
  const counters = simulate(kernel, {
    grid: [grid],
    memory,
    target,
    params: { x, out, n },
    ...(races === undefined ? {} : { races }),
    ...(maxRounds === undefined ? {} : { maxRounds }),
  });
  return { out: new Uint32Array(memory.read(out, outputs * 4).buffer), counters };
}

/** Runs something that must fail in the simulator, and gives the error. */
export function faultOf(kind: FaultKind, run: () => unknown): SimulationError {
  let error: unknown;
  try {
    run();
  } catch (e) {
    error = e;
  }
  if (!(error instanceof SimulationError)) throw error ?? new Error(`no "${kind}" was reported`);
  expect(error.message).toContain('test_kernel');
  expect(error.kind, error.message).toBe(kind);
  return error;
}
