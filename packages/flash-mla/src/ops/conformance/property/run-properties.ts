import { DeviceLostError, InvalidArgumentError } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import type { Exclusion } from '../suite/exclusion.ts';
import { exclusions, exclusionsOf } from '../suite/exclusions.ts';
import { type DrawnProblem, drawProblem } from './draw-problem.ts';
import { runDrawn, type Verdict } from './run-drawn.ts';
import { formatSeed, type ProblemSeed, parseSeed } from './seed.ts';
import { shrink } from './shrink.ts';

/** Which problems are drawn, and how they are run. */
export interface PropertyOptions {
  /** How many problems to run. */
  readonly count: number;
  /** `S`, `S:index` or `S:index:name=value,…`: see {@link ProblemSeed}. */
  readonly seed: string;
  /** Keep problems whose names have all these words, in any order. */
  readonly filter?: string | undefined;
  /**
   * Leave out problems that cost more: millions of floating-point operations. Without effect on a
   * single problem that the seed names.
   */
  readonly maxCost?: number | undefined;
  /** Look for a smaller problem that fails as well. Default true. */
  readonly shrinks?: boolean;
  /** Opens the device again after a problem has lost it. Without it the run ends there. */
  readonly reopen?: (() => Promise<Device>) | undefined;
  /** Stops before the next problem; the iteration rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called before each problem. */
  readonly onProgress?: ((progress: PropertyProgress) => void) | undefined;
  /** Instead of the built-in list. */
  readonly exclusions?: readonly Exclusion[];
}

export interface PropertyProgress {
  /** Problems done. */
  readonly done: number;
  readonly total: number;
  /** The seed of the problem that comes now. */
  readonly name: string;
}

/** A problem that failed. */
export interface PropertyFailure {
  /** Names the problem: `flash-mla selftest --fuzz 1 --seed …` runs it again. */
  readonly seed: string;
  /** The operation and the parameters that were drawn. */
  readonly name: string;
  readonly message: string;
}

/** The outcome of one drawn problem. */
export interface PropertyResult extends PropertyFailure {
  readonly op: string;
  readonly status: 'passed' | 'failed';
  /** How many answers were compared. */
  readonly comparisons: number;
  /** The smallest problem found that fails too; absent where none is smaller. */
  readonly smallest?: PropertyFailure;
}

/** Most problems that are drawn for one that the filter and the cost let through. */
const mostDraws = 20_000;

/**
 * Runs problems that are drawn whole: operation, shapes, strides, lengths, indices, values and the way of
 * calling. Each follows from the seed and its index alone, on any machine. A result for each, in order;
 * a problem that throws has failed.
 */
export async function* runProperties(
  device: Device,
  options: PropertyOptions,
): AsyncGenerator<PropertyResult, void, undefined> {
  const { signal, onProgress, shrinks = true, reopen } = options;
  const problems = selectProblems(options);
  const runner = new Runner(device, reopen, options.exclusions ?? exclusions);
  try {
    for (let done = 0; done < options.count; done++) {
      signal?.throwIfAborted();
      const { value: problem } = problems.next();
      if (problem === undefined) return;
      onProgress?.({ done, total: options.count, name: formatSeed(problem.seed) });
      const verdict = await runner.run(problem);
      const result = resultOf(problem, verdict);
      if (result.status === 'passed' || !shrinks) {
        yield result;
      } else {
        const smallest = await shrink(problem, async (smaller) => {
          signal?.throwIfAborted();
          return (await runner.run(smaller)).problems.length > 0;
        });
        const isSmaller = smallest !== problem;
        yield isSmaller
          ? { ...result, smallest: resultOf(smallest, await runner.run(smallest)) }
          : result;
      }
      if (runner.isLost) return;
    }
  } finally {
    await runner.close();
  }
}

/** The problems of a sequence that a run means. Throws {@link InvalidArgumentError}. */
export function* selectProblems({
  count,
  seed,
  filter = '',
  maxCost = Number.POSITIVE_INFINITY,
}: Pick<PropertyOptions, 'count' | 'seed' | 'filter' | 'maxCost'>): Generator<DrawnProblem> {
  const { seed: sequence, index, settings }: ProblemSeed = parseSeed(seed);
  if (settings !== undefined && count !== 1) {
    throw new InvalidArgumentError('count', '1 for a seed that names one problem', `${count}`);
  }
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const isNamed = index !== undefined && count === 1;
  let draws = 0;
  for (let i = index ?? 0; draws < mostDraws; i++, draws++) {
    const problem = drawProblem(sequence, i, settings);
    const isMeant = words.every((word) => problem.name.toLowerCase().includes(word));
    if (isNamed ? !isMeant : !isMeant || problem.cost > maxCost) {
      if (isNamed) return;
      continue;
    }
    draws = 0;
    yield problem;
    if (settings !== undefined) return;
  }
}

/** Runs problems on a device, or on the next one where it was lost. */
class Runner {
  #device: Device;
  #isOwn = false;
  #isLost = false;
  readonly #reopen: (() => Promise<Device>) | undefined;
  readonly #exclusions: readonly Exclusion[];

  constructor(
    device: Device,
    reopen: (() => Promise<Device>) | undefined,
    list: readonly Exclusion[],
  ) {
    this.#device = device;
    this.#reopen = reopen;
    this.#exclusions = list;
  }

  /** The device is lost and cannot be opened again. */
  get isLost(): boolean {
    return this.#isLost;
  }

  async run(problem: DrawnProblem): Promise<Verdict> {
    const { backend } = this.#device.info;
    const applying = exclusionsOf(backend, problem.name, this.#exclusions);
    try {
      return await runDrawn(this.#device, problem, applying);
    } catch (error) {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      await this.#recover(error);
      return { comparisons: [], problems: [text] };
    }
  }

  async close(): Promise<void> {
    if (this.#isOwn) await this.#device.dispose();
  }

  /** After an error the device may be lost, or work that failed may still be reported. */
  async #recover(error: unknown): Promise<void> {
    const later = await this.#device.synchronize().catch((again: unknown) => again);
    if (!(error instanceof DeviceLostError) && !(later instanceof DeviceLostError)) return;
    if (!this.#reopen) {
      this.#isLost = true;
      return;
    }
    if (this.#isOwn) await this.#device.dispose();
    this.#device = await this.#reopen();
    this.#isOwn = true;
  }
}

function resultOf(problem: DrawnProblem, { comparisons, problems }: Verdict): PropertyResult {
  const isEmpty = comparisons.length === 0 && problems.length === 0;
  // A problem that compares nothing has shown nothing.
  const all = isEmpty ? ['nothing was compared'] : problems;
  return {
    seed: formatSeed(problem.seed),
    name: problem.name,
    op: problem.operation.kind.op,
    status: all.length === 0 ? 'passed' : 'failed',
    message: all.slice(0, 4).join('; '),
    comparisons: comparisons.length,
  };
}
