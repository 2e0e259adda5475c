/** What kernel selection picks for a problem on a GPU, without one: the data of `flash-mla inspect`. */

import { emitPtx, type PlacedField } from '@flash-mla/ptx';
import type { DeviceFacts } from '../driver/driver.ts';
import { loadFamilies } from '../families.ts';
import type { FamilyOperation, LaunchPlan, OperationPlan } from '../kernel-family.ts';
import { buildKernel, targetOf } from '../launch/kernel-store.ts';
import { type DeviceLimits, limitsOf } from '../limits.ts';
import { chooseFamily, type OperationName, scheduleOf } from '../operations/operations.ts';

/** One field of a kernel's shared memory. */
export interface SharedField {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly element: string;
  readonly shape: readonly number[];
}

/** One launch of an operation. */
export interface LaunchInspection {
  readonly role: string;
  readonly kernel: string;
  /** PTX target that it is built for. */
  readonly target: string;
  readonly config: object;
  readonly grid: readonly number[];
  readonly block: readonly number[];
  readonly cluster: readonly number[] | undefined;
  /** Whether it may begin before the launch ahead of it ends. */
  readonly overlap: boolean;
  readonly sharedBytes: number;
  readonly shared: readonly SharedField[];
}

/** What {@link inspectOperation} finds. Plain data but for `ptx`. */
export interface Inspection {
  readonly operation: OperationName;
  readonly family: string;
  readonly gpu: { readonly name: string } & DeviceLimits;
  readonly problem: object;
  readonly workspaceBytes: number;
  readonly launches: readonly LaunchInspection[];
  /** The text of a launch's kernel. */
  ptx(role: string): string;
}

/** A problem that may depend on the schedule that selection plans for it. */
export type ProblemOn = (limits: DeviceLimits, plan: PlanSchedule) => object;
type PlanSchedule = (problem: Parameters<typeof scheduleOf>[1]) => ReturnType<typeof scheduleOf>;

/**
 * Selects kernels as the backend does.
 * @throws {BackendUnavailableError} where no family has a kernel.
 */
export async function inspectOperation(
  operation: OperationName,
  problemOn: ProblemOn,
  facts: DeviceFacts,
): Promise<Inspection> {
  const limits = limitsOf(facts);
  const families = await loadFamilies(limits.sm);
  const problem = problemOn(limits, (asked) => scheduleOf(families, asked, limits));
  const chosen = chooseFamily(families, operation, problem as never, limits);
  const general = chosen.operation as unknown as FamilyOperation<object, unknown>;
  const plan: OperationPlan = general.plan(problem, limits);
  const launches = Object.entries(plan.launches);
  return {
    operation,
    family: chosen.family.name,
    gpu: { name: facts.name, ...limits },
    problem,
    workspaceBytes: plan.workspaceBytes,
    launches: launches.map(([role, launch]) => inspectLaunch(role, launch, limits)),
    ptx(role) {
      const launch = plan.launches[role];
      if (launch === undefined) throw new RangeError(`no launch is called ${role}`);
      return emitPtx(buildKernel(launch.kernel, launch.config), targetOf(launch.kernel, limits));
    },
  };
}

function inspectLaunch(role: string, launch: LaunchPlan, limits: DeviceLimits): LaunchInspection {
  const { kernel: spec, config, grid, cluster, overlap = false } = launch;
  const kernel = buildKernel(spec, config);
  return {
    role,
    kernel: spec.name,
    target: targetOf(spec, limits),
    config,
    grid,
    block: kernel.block,
    cluster,
    overlap,
    sharedBytes: kernel.sharedBytes,
    shared: kernel.sharedLayout.fields.map(sharedField),
  };
}

function sharedField({ name, offset, bytes, element, shape }: PlacedField): SharedField {
  return { name, offset, bytes, element, shape };
}
