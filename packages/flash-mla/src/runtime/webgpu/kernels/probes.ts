import { type KernelSource, kernel } from '../wgsl/kernel.ts';
import { Params } from '../wgsl/params.ts';
import { each } from '../wgsl/text.ts';

/** Kernels that do nothing but what a ceiling is of: see `measureCeilings`. */
export type Probe = 'multiply-add' | 'fill' | 'read' | 'copy';

/** Invocations of a probe's workgroup. */
export const probeInvocations = 256;

/** Independent sums of an invocation: enough to hide how long one multiplication takes. */
const chains = 4;
const stepsPerRound = 4;

/** Operations of one round of `multiply-add`: four columns, a multiplication and an addition each. */
export const flopsPerRound = probeInvocations * chains * stepsPerRound * 8;

/** Vectors that an invocation reads before it uses the first. */
const ahead = 4;

/**
 * A probe. `multiply-add`: `count` rounds in each invocation. The others pass over `count` vec4 of
 * `data`, a multiple of 1024 for each workgroup; `copy` writes them behind themselves.
 */
export function probeKernel(probe: Probe): KernelSource {
  return kernel(
    `probe ${probe}`,
    new Params({ count: 'u32', seed: 'f32' }),
    [{ name: 'data', access: 'read_write', element: 'vec4<u32>' }],
    `@compute @workgroup_size(${probeInvocations})
    fn main(
      @builtin(workgroup_id) workgroup: vec3<u32>,
      @builtin(num_workgroups) workgroups: vec3<u32>,
      @builtin(local_invocation_index) thread: u32,
    ) {
      let invocation = workgroup.x * ${probeInvocations}u + thread;
      let share = params.count / workgroups.x;
      let begin = workgroup.x * share + thread;
      let end = (workgroup.x + 1u) * share;
      ${bodies[probe]}
    }`,
  );
}

const bodies: Readonly<Record<Probe, string>> = {
  // As attention kernels write it: `a * b + c`, which devices that can fuse.
  'multiply-add': `
    let factor = vec4(params.seed);
    let term = vec4(f32(invocation) * 0.001);
    ${each(chains, (c) => `var sum${c} = term + ${c}.0;`)}
    for (var round = 0u; round < params.count; round++) {
      ${each(stepsPerRound, () => each(chains, (c) => `sum${c} = sum${c} * factor + term;`))}
    }
    ${keep(`bitcast<vec4<u32>>(${sum(chains, (c) => `sum${c}`)})`)}`,
  read: `
    var sum = vec4<u32>();
    for (var at = begin; at < end; at += ${ahead * probeInvocations}u) {
      ${each(ahead, (i) => `let value${i} = data[at + ${i * probeInvocations}u];`)}
      sum += ${sum(ahead, (i) => `value${i}`)};
    }
    ${keep('sum')}`,
  // Other values everywhere: memory may compress what is the same.
  fill: `
    for (var at = begin; at < end; at += ${probeInvocations}u) {
      data[at] = vec4(at) * vec4(2654435761u, 2246822519u, 3266489917u, 668265263u);
    }`,
  copy: `
    for (var at = begin; at < end; at += ${probeInvocations}u) { data[at + params.count] = data[at]; }`,
};

function sum(count: number, term: (index: number) => string): string {
  return Array.from({ length: count }, (_, i) => term(i)).join(' + ');
}

/** A write that does not happen, which compilers cannot know: without it all would be left out. */
function keep(value: string): string {
  return `let result = ${value};
    if (all(result == vec4(0x7fc12345u))) { data[invocation] = result; }`;
}
