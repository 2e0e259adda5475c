import type { DeviceInfo } from '../../../runtime/device/backend.ts';
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
