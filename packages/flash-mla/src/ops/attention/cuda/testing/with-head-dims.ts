import type { DeviceLimits } from '../../../../runtime/cuda/limits.ts';
import type { HeadDims } from '../../../kernel-lib/cuda/sm90/geometry.ts';
import type { DenseDecodeProblem } from '../problems.ts';
import type { fewRowsDenseDecode, hopperDenseDecode } from '../sm90/sm90_dense_decode_launch.ts';

/** A Hopper kernel for head dimensions that its launcher does not take: nothing in its code assumes any. */
export function withHeadDims<T extends typeof hopperDenseDecode | typeof fewRowsDenseDecode>(
  operation: T,
  headDims: HeadDims,
): T {
  return {
    ...operation,
    accepts: () => true,
    plan(problem: DenseDecodeProblem, limits: DeviceLimits) {
      const plan = operation.plan(problem, limits);
      const { main } = plan.launches;
      const launches = {
        ...plan.launches,
        main: { ...main, config: { ...main.config, headDims } },
      };
      return { ...plan, launches };
    },
  };
}
