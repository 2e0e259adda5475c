import { runConformance, selectCases } from 'flash-mla/cases';
import { device, type TaskContext } from './session.ts';

export interface SelfTestRequest {
  readonly suite: 'quick' | 'full';
  /** Keep cases whose names have all these words. */
  readonly filter: string;
}

/** One case has ended. */
export interface CaseOutcome {
  readonly name: string;
  readonly op: string;
  readonly status: 'passed' | 'failed' | 'excluded';
  readonly message: string;
  readonly microseconds: number;
  /** Largest |error| of an element of the output. */
  readonly largestError: number;
}

export type SelfTestEvent =
  | {
      readonly kind: 'begins';
      readonly done: number;
      readonly total: number;
      readonly name: string;
    }
  | { readonly kind: 'ended'; readonly outcome: CaseOutcome };

export interface SelfTestSummary {
  readonly seconds: number;
}

export async function countCases(request: SelfTestRequest): Promise<number> {
  return selectCases(request).length;
}

export async function selfTest(
  { suite, filter }: SelfTestRequest,
  { signal, emit }: TaskContext<SelfTestEvent>,
): Promise<SelfTestSummary> {
  const begin = performance.now();
  const options = {
    suite,
    filter,
    signal,
    onProgress: (at: { done: number; total: number; name: string }) =>
      emit({ kind: 'begins', ...at }),
  };
  for await (const result of runConformance(device(), options)) {
    const { name, op, status, message, microseconds, comparisons } = result;
    const errors = comparisons
      .filter(({ answer }) => answer === 'out')
      .map(({ maxAbsolute }) => maxAbsolute);
    const largestError = Math.max(0, ...errors);
    emit({ kind: 'ended', outcome: { name, op, status, message, microseconds, largestError } });
    // An abort can only arrive when the event loop turns.
    await new Promise((resolve) => setTimeout(resolve));
  }
  return { seconds: (performance.now() - begin) / 1e3 };
}
