import { BackendUnavailableError } from '../../../errors.ts';
import type {
  AppendArgs,
  ComputeScheduleArgs,
  DenseAttentionArgs,
  DenseDecodeArgs,
  DequantizeArgs,
  QuantizeArgs,
  SchedulePlan,
  ScheduleProblem,
  SparseDecodeArgs,
  SparsePrefillArgs,
} from '../../backend.ts';
import type { CheckArgs, FamilyOperation, KernelFamily } from '../kernel-family.ts';
import { BoundOperation } from '../launch/bound-operation.ts';
import type { Launcher } from '../launch/launcher.ts';
import type { DeviceLimits } from '../limits.ts';
import { planSchedule } from '../schedule.ts';
import { checkProblem } from './checks.ts';
import {
  appendProblem,
  computeScheduleProblem,
  denseAttentionProblem,
  denseDecodeProblem,
  dequantizeProblem,
  quantizeProblem,
  sparseDecodeProblem,
  sparsePrefillProblem,
} from './problems.ts';

/** The operations that a family can offer. */
export type OperationName = Exclude<keyof KernelFamily, 'name'>;

type ProblemOf<Name extends OperationName> =
  NonNullable<KernelFamily[Name]> extends FamilyOperation<infer Problem, infer _Args>
    ? Problem
    : never;
type ArgsOf<Name extends OperationName> =
  NonNullable<KernelFamily[Name]> extends FamilyOperation<infer _Problem, infer Args>
    ? Args
    : never;

/**
 * The first family that has the operation and accepts the problem.
 * @throws {BackendUnavailableError} where none does.
 */
export function chooseFamily<Name extends OperationName>(
  families: readonly KernelFamily[],
  name: Name,
  problem: ProblemOf<Name>,
  limits: DeviceLimits,
): { readonly family: KernelFamily; readonly operation: NonNullable<KernelFamily[Name]> } {
  for (const family of families) {
    const operation = family[name];
    if (operation === undefined) continue;
    const general = operation as FamilyOperation<ProblemOf<Name>, ArgsOf<Name>>;
    if (general.accepts?.(problem, limits) ?? true) return { family, operation };
  }
  throw new BackendUnavailableError(
    'cuda',
    `no kernel of ${name} takes this problem on sm_${limits.sm}: ${JSON.stringify(problem)}`,
    families.map((family) => `kernel family ${family.name}`),
    "Use openDevice('cpu') for it, and please report it.",
  );
}

/** How decoding is cut on a device. Pure. */
export function scheduleOf(
  families: readonly KernelFamily[],
  problem: ScheduleProblem,
  limits: DeviceLimits,
): SchedulePlan {
  const name = problem.kind === 'dense' ? 'denseDecode' : 'sparseDecode';
  const operation = families.map((family) => family[name]).find((found) => found !== undefined);
  if (operation === undefined) {
    throw new BackendUnavailableError(
      'cuda',
      `no kernel of ${name} runs on sm_${limits.sm}`,
      families.map((family) => `kernel family ${family.name}`),
      "Use openDevice('cpu') for it.",
    );
  }
  return planSchedule(problem, operation.tiling(problem, limits), limits);
}

/** Enqueues the library's operations on one stream. */
export class Operations {
  readonly computeSchedule: (args: ComputeScheduleArgs) => void;
  readonly denseDecode: (args: DenseDecodeArgs) => void;
  readonly sparseDecode: (args: SparseDecodeArgs) => void;
  readonly sparsePrefill: (args: SparsePrefillArgs) => void;
  readonly denseAttention: (args: DenseAttentionArgs) => void;
  readonly quantizeKvCache: (args: QuantizeArgs) => void;
  readonly dequantizeKvCache: (args: DequantizeArgs) => void;
  readonly appendKvCache: (args: AppendArgs) => void;
  readonly check: (args: CheckArgs) => void;

  constructor(families: readonly KernelFamily[], launcher: Launcher) {
    const bind = <Name extends OperationName>(
      name: Name,
      problemOf: (args: ArgsOf<Name>) => ProblemOf<Name>,
    ): ((args: ArgsOf<Name>) => void) => {
      const choose = (problem: ProblemOf<Name>) =>
        chooseFamily(families, name, problem, launcher.limits)
          .operation as unknown as FamilyOperation<ProblemOf<Name>, ArgsOf<Name>>;
      const bound = new BoundOperation(choose, launcher);
      return (args) => bound.enqueue(problemOf(args), args);
    };
    this.computeSchedule = bind('computeSchedule', computeScheduleProblem);
    this.denseDecode = bind('denseDecode', denseDecodeProblem);
    this.sparseDecode = bind('sparseDecode', sparseDecodeProblem);
    this.sparsePrefill = bind('sparsePrefill', sparsePrefillProblem);
    this.denseAttention = bind('denseAttention', denseAttentionProblem);
    this.quantizeKvCache = bind('quantizeKvCache', quantizeProblem);
    this.dequantizeKvCache = bind('dequantizeKvCache', dequantizeProblem);
    this.appendKvCache = bind('appendKvCache', appendProblem);
    this.check = bind('check', checkProblem);
  }
}
