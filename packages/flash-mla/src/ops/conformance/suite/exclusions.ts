import type { DeviceInfo } from '../../../runtime/device/backend.ts';
import { operationTools } from '../../operation-tools.ts';
import type { Exclusion } from './exclusion.ts';

/** The exclusions of all families. */
export const exclusions: readonly Exclusion[] = operationTools.flatMap(
  ({ exclusions: list = [] }) => list,
);

/** The exclusions that apply to a case on a backend. */
export function exclusionsOf(
  backend: DeviceInfo['backend'],
  caseName: string,
  list: readonly Exclusion[] = exclusions,
): readonly Exclusion[] {
  return list.filter((e) => e.backend === backend && caseName.includes(e.cases));
}
