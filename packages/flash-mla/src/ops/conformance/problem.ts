import type { HostTensor } from '@flash-mla/core';

/**
 * A problem is the arguments of one operation, on the host: what a case file holds, what the
 * conformance suite generates, what the reference answers and what a device runs. `op` names the
 * {@link ProblemKind}, which belongs to the folder of its operation.
 */
export interface Problem {
  readonly op: string;
}

/**
 * The results of an operation: `out` always, `lse` of every attention, `max_logits` of a prefill.
 * Names are those of case files.
 */
export type Answers = Readonly<Partial<Record<AnswerName, HostTensor>>>;

export type AnswerName = 'out' | 'lse' | 'max_logits';

/** In the order of reports. */
export const answerNames: readonly AnswerName[] = ['out', 'lse', 'max_logits'];
