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

/**
 * Tensor cores multiply bf16 rows, so a value times a scale that is no power of two is rounded, by up
 * to 2^-8 of itself. That moves logits by about 1e-3 of their size; FlashMLA's kernels do the same.
 */
const roundedRows = {
  cases: 'floatScales',
  reason:
    'values times scales that are no powers of two are rounded to bf16 before they are multiplied',
  tolerances: {
    out: { absolute: 1e-3, relative: 2.01 / 128, cosine: 2e-5 },
    lse: { absolute: 3e-3, relative: 8.01 / 65536 },
  },
} as const;

export const exclusions: readonly Exclusion[] = [
  { backend: 'cuda', ...roundedRows },
  { backend: 'sim', ...roundedRows },
];

/** The exclusions that apply to a case on a backend. */
export function exclusionsOf(
  backend: DeviceInfo['backend'],
  caseName: string,
  list: readonly Exclusion[] = exclusions,
): readonly Exclusion[] {
  return list.filter((e) => e.backend === backend && caseName.includes(e.cases));
}
