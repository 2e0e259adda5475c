import type { Params } from './params.ts';
import { format } from './text.ts';

/** One storage buffer of a kernel. */
export interface StorageBinding {
  readonly name: string;
  readonly access: 'read' | 'read_write';
  readonly element: 'u32' | 'atomic<u32>' | 'i32' | 'f32' | 'vec4<u32>' | 'vec4<f32>';
}

/** A kernel in WGSL with everything that a pipeline and a call need to know about it. */
export interface KernelSource {
  /** What selection picked, readable: the kernel's family and its configuration. */
  readonly name: string;
  readonly wgsl: string;
  readonly params: Params;
  /** In binding order; binding 0 holds the parameters. */
  readonly storage: readonly StorageBinding[];
}

/** Assembles a kernel: features, parameters, bindings, then the functions. */
export function kernel(
  name: string,
  params: Params,
  storage: readonly StorageBinding[],
  functions: string,
  features: readonly string[] = [],
): KernelSource {
  const enables = features.map((feature) => `enable ${feature};`).join('\n');
  const bindings = storage
    .map(
      ({ name: variable, access, element }, i) =>
        `@group(0) @binding(${i + 1}) var<storage, ${access}> ${variable}: array<${element}>;`,
    )
    .join('\n');
  return {
    name,
    wgsl: format([enables, params.wgsl, bindings, functions].join('\n')),
    params,
    storage,
  };
}
