import type { HostTensor } from '@flash-mla/core';
import type { Device } from '../../../runtime/device/device.ts';
import { type Comparison, describeComparison } from '../compare.ts';
import { poisonResults } from '../inputs.ts';
import { type Answers, answerNames, type Problem } from '../problem.ts';
import type { ProblemKind } from '../problem-kind.ts';
import { prepare, readAnswers } from '../run-problem.ts';
import type { Exclusion } from '../suite/exclusion.ts';
import { Random } from '../suite/random.ts';
import type { Operation } from '../variant.ts';
import { build, type DrawnProblem } from './draw-problem.ts';
import { type Judge, judgeOf } from './judge.ts';
import type { CallValues, Drawn } from './operation.ts';
import { drawPlace } from './placement.ts';

/** What running a drawn problem found. */
export interface Verdict {
  readonly comparisons: readonly Comparison[];
  /** What is wrong, or nothing. */
  readonly problems: readonly string[];
}

/** Draws a problem's data, runs it in the way that it says and holds every answer to the reference. */
export async function runDrawn(
  device: Device,
  problem: DrawnProblem,
  exclusions: readonly Exclusion[],
): Promise<Verdict> {
  const drawn = build(problem);
  const values = problem.values as unknown as CallValues;
  const { metadata, deterministic } = problem.values;
  const random = new Random(`place ${problem.seed.seed}:${problem.seed.index}`);
  const { steps } = drawn;
  const { kind } = problem.operation;
  const [first] = steps as [Problem];
  const operation = prepare(device, kind, first, {
    outputs: values.outputs,
    metadata: metadata === 'tensors' ? 'tensors' : 'object',
    deterministic: deterministic === true,
    // A graph must compute its metadata itself: lengths change between replays.
    keepMetadata: values.mode === 'again',
    longest: drawn.longest,
    placement: values.placed
      ? (name, host, rule) => drawPlace(host, rule, random.stream(name))
      : undefined,
  });
  try {
    return await new Run(device, kind, operation, drawn, exclusions).all(values.mode, steps);
  } finally {
    // What still runs may use the tensors.
    await device.synchronize().catch(() => {});
    operation.dispose();
  }
}

/** One operation, called again and again. */
class Run {
  readonly #device: Device;
  readonly #kind: ProblemKind;
  readonly #operation: Operation;
  readonly #drawn: Drawn;
  readonly #exclusions: readonly Exclusion[];
  readonly #givesOutputs: boolean;
  readonly #judges = new Map<Problem, Judge>();
  readonly #comparisons: Comparison[] = [];
  readonly #problems: string[] = [];

  constructor(
    device: Device,
    kind: ProblemKind,
    operation: Operation,
    drawn: Drawn,
    exclusions: readonly Exclusion[],
  ) {
    this.#device = device;
    this.#kind = kind;
    this.#operation = operation;
    this.#drawn = drawn;
    this.#exclusions = exclusions;
    this.#givesOutputs = operation.results.out !== undefined;
  }

  async all(mode: CallValues['mode'], steps: readonly Problem[]): Promise<Verdict> {
    const [first] = steps as [Problem];
    const last = steps.at(-1) as Problem;
    const { enqueue } = this.#operation;
    if (mode !== 'graph') await this.#call('first call', first, enqueue);
    if (mode === 'again') {
      for (const [i, step] of steps.entries()) {
        if (i > 0) this.#change(step);
        const before = await this.#call(`step ${i}`, step, enqueue);
        const again = await this.#call(`step ${i} again`, step, enqueue);
        this.#expectSameBits(before, again);
      }
    }
    if (mode === 'graph' || mode === 'mixed') {
      // Recorded while the lengths of another step are on the device.
      this.#change(last);
      const graph = this.#device.capture(enqueue);
      // Outputs that the operation allocated while it was captured stay those of the graph.
      const results = { ...this.#operation.results };
      try {
        for (const [i, step] of steps.entries()) {
          this.#change(step);
          await this.#call(`replay ${i}`, step, () => graph.replay(), results);
        }
        if (mode === 'mixed') {
          this.#change(first);
          await this.#call('call after the replays', first, enqueue);
          await this.#call('replay after it', first, () => graph.replay(), results);
        }
      } finally {
        await this.#device.synchronize().catch(() => {});
        graph.dispose();
      }
    }
    this.#problems.push(...(await this.#operation.changes()));
    return { comparisons: this.#comparisons, problems: this.#problems };
  }

  /** Puts the lengths of a step on the device. */
  #change(step: Problem): void {
    for (const { name, write } of this.#operation.lengths) {
      const values = lengthsOf(step, name);
      if (values) write(values.data);
    }
    this.#operation.reset();
  }

  /** `results`: those that the call writes to, where they are not those of the latest call. */
  async #call(
    what: string,
    step: Problem,
    run: () => void,
    results?: Operation['results'],
  ): Promise<Answers> {
    const { restore } = this.#operation;
    if (restore) restore();
    else poisonResults(results ?? this.#operation.results);
    run();
    const answers = await readAnswers({ results: results ?? this.#operation.results });
    const judge =
      this.#judges.get(step) ?? judgeOf(this.#kind, step, this.#drawn.valueSize, this.#exclusions);
    this.#judges.set(step, judge);
    const untouched = this.#kind.fillUnowned?.(
      step,
      answers,
      this.#givesOutputs || results !== undefined,
    );
    const { comparisons, problems } = judge(answers);
    if (untouched) problems.push(untouched);
    this.#comparisons.push(...comparisons);
    const wrong = comparisons.filter(({ pass }) => !pass).map(describeComparison);
    this.#problems.push(...[...wrong, ...problems].map((text) => `${what}: ${text}`));
    return answers;
  }

  #expectSameBits(before: Answers, after: Answers): void {
    for (const name of answerNames) {
      const [a, b] = [before[name]?.data, after[name]?.data];
      const at = a?.findIndex((value, i) => !Object.is(value, b?.[i])) ?? -1;
      if (at !== -1)
        this.#problems.push(`${name} has other bits in a second call, at element ${at}`);
    }
  }
}

/** The lengths of a problem by the name of their tensor. */
function lengthsOf(problem: Problem, name: string): HostTensor<'i32' | 'i64'> | undefined {
  const [outer, inner] = name.split('.') as [string, string | undefined];
  const value = (problem as unknown as Record<string, unknown>)[outer];
  return (inner ? (value as Record<string, unknown> | undefined)?.[inner] : value) as
    | HostTensor<'i32' | 'i64'>
    | undefined;
}
