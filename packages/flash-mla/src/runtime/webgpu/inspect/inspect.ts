/** What kernel selection picks for a problem on a device, without one: `flash-mla inspect`. */

import type { Capabilities } from '../runtime/limits.ts';
import type { Dispatch } from '../runtime/runtime.ts';
import type { Trace } from './trace.ts';

/** One variable of a kernel's workgroup memory. */
export interface WorkgroupVariable {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
}

/** One binding of a launch. */
export interface BindingInspection {
  readonly binding: number;
  readonly name: string;
  readonly access: 'uniform' | 'read' | 'read_write';
  readonly element: string;
  readonly bytes: number;
}

/** One launch of an operation. */
export interface LaunchInspection {
  readonly kernel: string;
  readonly config: object;
  readonly workgroups: readonly number[];
  readonly workgroupSize: number;
  readonly workgroupBytes: number;
  readonly workgroup: readonly WorkgroupVariable[];
  readonly bindings: readonly BindingInspection[];
  readonly params: Readonly<Record<string, number>>;
}

/** What {@link inspectTrace} finds: plain data. */
export interface Inspection {
  readonly operation: string;
  readonly adapter: string;
  readonly capabilities: Capabilities;
  readonly scratchBytes: number;
  readonly launches: readonly LaunchInspection[];
}

/** Describes what an operation would launch. */
export function inspectTrace(
  operation: string,
  adapter: string,
  capabilities: Capabilities,
  { dispatches, scratchBytes }: Trace,
): Inspection {
  const launches = dispatches.map(inspectDispatch);
  return { operation, adapter, capabilities, scratchBytes, launches };
}

function inspectDispatch(dispatch: Dispatch): LaunchInspection {
  const { name, config = {}, params, storage, workgroups } = dispatch;
  const source = dispatch.source();
  const workgroup = workgroupVariables(source.wgsl);
  return {
    kernel: name,
    config,
    workgroups,
    workgroupSize: Number(/@workgroup_size\((\d+)\)/.exec(source.wgsl)?.[1] ?? 1),
    // Each variable begins at a multiple of 16, as drivers place them at most.
    workgroupBytes: workgroup.reduce((sum, { bytes }) => sum + Math.ceil(bytes / 16) * 16, 0),
    workgroup,
    bindings: [
      {
        ...{ binding: 0, name: 'params', access: 'uniform', element: 'Params' },
        bytes: source.params.byteLength,
      },
      ...source.storage.map(({ name: variable, access, element }, i) => ({
        ...{ binding: i + 1, name: variable, access, element },
        bytes: storage[variable]?.size ?? 0,
      })),
    ],
    params,
  };
}

const scalarBytes = 4;

/** The workgroup memory of a kernel, read from its text: what the device will make of it. */
function workgroupVariables(wgsl: string): WorkgroupVariable[] {
  const aliases = new Map(
    [...wgsl.matchAll(/^alias (\w+) = (.+);$/gm)].map(([, name = '', type = '']) => [name, type]),
  );
  const declarations = wgsl.matchAll(/var<workgroup> (\w+): (?:array<(.+), (\d+)>|(.+));/g);
  return [...declarations].map(([, name = '', element, length = '1', scalar = '']) => {
    const type = element ?? scalar;
    const resolved = aliases.get(type) ?? type;
    const width = Number(/^vec(\d)/.exec(resolved)?.[1] ?? 1);
    return {
      name,
      type: element === undefined ? resolved : `${resolved} × ${length}`,
      bytes: width * scalarBytes * Number(length),
    };
  });
}
