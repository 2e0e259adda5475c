import type { DeviceInfo } from '../../backends/backend.ts';
import type { AnswerName } from '../problem.ts';
import type { Tolerance } from '../tolerance.ts';

/** Cases that a backend need not pass, or passes under other bounds, and why. */
export interface Exclusion {
  readonly backend: DeviceInfo['backend'];
  /** Part of the name of every case that is meant. */
  readonly cases: string;
  readonly reason: string;
  /** Absent: the cases are not run. Else these bounds replace those of the answers named. */
  readonly tolerances?: Readonly<Partial<Record<AnswerName, Tolerance>>>;
}

/** Empty: every backend must pass every case. */
export const exclusions: readonly Exclusion[] = [];

/** The exclusions that apply to a case on a backend. */
export function exclusionsOf(
  backend: DeviceInfo['backend'],
  caseName: string,
  list: readonly Exclusion[] = exclusions,
): readonly Exclusion[] {
  return list.filter((e) => e.backend === backend && caseName.includes(e.cases));
}
