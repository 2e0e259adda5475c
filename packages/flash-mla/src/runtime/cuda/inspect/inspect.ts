/** What kernel selection picks for a problem on a GPU, without one: the data of `flash-mla inspect`. */

import { emitPtx, type PlacedField } from '@flash-mla/ptx';
import { buildKernel, targetOf } from '../launch/kernel-store.ts';
import type { DeviceLimits } from '../limits.ts';
import type { CudaTrace, TracedCall, TracedLaunch } from './trace.ts';

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

/** What {@link inspectCall} finds. Plain data but for `ptx`. */
export interface Inspection {
  readonly operation: string;
  readonly family: string;
  readonly gpu: { readonly name: string } & DeviceLimits;
  readonly problem: object;
  readonly workspaceBytes: number;
  readonly launches: readonly LaunchInspection[];
  /** The text of a launch's kernel. */
  ptx(role: string): string;
}

/** Describes what a call launched on a GPU that is not there. */
export function inspectCall({ info, limits }: CudaTrace, call: TracedCall): Inspection {
  return {
    operation: call.operation.name,
    family: call.family,
    gpu: { name: info.name, ...limits },
    problem: call.problem,
    workspaceBytes: call.workspaceBytes,
    launches: call.launches.map((launch) => inspectLaunch(launch, limits)),
    ptx(role) {
      const launch = call.launches.find((each) => each.role === role);
      if (launch === undefined) throw new RangeError(`no launch is called ${role}`);
      const { kernel, config } = launch.plan;
      return emitPtx(buildKernel(kernel, config), targetOf(kernel, limits));
    },
  };
}

function inspectLaunch({ role, plan, grid }: TracedLaunch, limits: DeviceLimits): LaunchInspection {
  const { kernel: spec, config, cluster, overlap = false } = plan;
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
