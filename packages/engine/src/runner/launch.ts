import { RunnerError } from '../errors.ts';
import type { ScheduledStep } from '../scheduler/step-builder.ts';
import type { ModelRunner, StepOutput } from './model-runner.ts';

export type StepResult =
  | { readonly ok: true; readonly output: StepOutput }
  | { readonly ok: false; readonly error: RunnerError };

export interface StepInFlight {
  readonly step: ScheduledStep;
  /** Never rejected: a step may fail long before somebody waits for it. */
  readonly result: Promise<StepResult>;
}

/** Hands a step to the runner, and checks what comes back. */
export function launch(runner: ModelRunner, step: ScheduledStep): StepInFlight {
  const fail = (error: unknown): StepResult => ({ ok: false, error: asRunnerError(error) });
  try {
    const answer = runner.run(step.plan);
    return { step, result: answer.then((output) => check(step, output), fail) };
  } catch (error) {
    return { step, result: Promise.resolve(fail(error)) };
  }
}

function check(step: ScheduledStep, output: StepOutput): StepResult {
  const { plan, numSamples } = step;
  const isToken = (token: number) => Number.isInteger(token) && token >= 0;
  const tokens: ArrayLike<number> | undefined = output?.tokens;
  const refuse = (expected: string, actual: string): StepResult => {
    const subject = `the runner's answer to step ${plan.step}`;
    const problem = { subject, expected, actual, remedy: 'This is a defect of the runner.' };
    return { ok: false, error: new RunnerError(problem, { fatal: false }) };
  };
  if (tokens?.length !== numSamples || !Array.from(tokens).every(isToken))
    return refuse(
      `${numSamples} tokens`,
      tokens === undefined ? 'none' : `[${Array.from(tokens).join(', ')}]`,
    );
  const sampling = step.frames.filter(({ samples }) => samples);
  const missing = sampling.findIndex(
    ({ request }, i) =>
      request.sampling.logprobs !== undefined && output.logprobs?.[i] === undefined,
  );
  if (missing >= 0) return refuse(`log-probabilities of token ${missing}`, 'none');
  return { ok: true, output };
}

function asRunnerError(cause: unknown): RunnerError {
  if (cause instanceof RunnerError) return cause;
  const problem = {
    subject: 'the model runner',
    expected: 'a step to succeed',
    actual: cause instanceof Error ? cause.message : String(cause),
    remedy: 'See the cause; the request can be sent again.',
  };
  return new RunnerError(problem, { fatal: false, cause });
}
