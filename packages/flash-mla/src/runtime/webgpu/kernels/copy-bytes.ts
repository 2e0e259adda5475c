import { type KernelSource, kernel } from '../wgsl/kernel.ts';
import { Params } from '../wgsl/params.ts';

export const copyBytesName = 'copy bytes';

/**
 * Copies bytes to where they do not fill whole words: WebGPU's own copies and writes know only those.
 * An invocation assembles one word of the target and leaves its other bytes as they are.
 */
export function copyBytesKernel(): KernelSource {
  return kernel(
    copyBytesName,
    new Params({ source: 'u32', first: 'u32', count: 'u32' }),
    [
      { name: 'sourceWords', access: 'read', element: 'u32' },
      { name: 'targetWords', access: 'read_write', element: 'u32' },
    ],
    `
    @compute @workgroup_size(64)
    fn main(
      @builtin(workgroup_id) workgroup: vec3<u32>,
      @builtin(num_workgroups) workgroups: vec3<u32>,
      @builtin(local_invocation_index) thread: u32,
    ) {
      let word = params.first / 4u + (workgroup.x + workgroup.y * workgroups.x) * 64u + thread;
      if (word * 4u >= params.first + params.count) { return; }
      var value = targetWords[word];
      for (var i = 0u; i < 4u; i++) {
        let byte = word * 4u + i;
        if (byte >= params.first && byte < params.first + params.count) {
          let source = params.source + byte - params.first;
          let bits = (sourceWords[source / 4u] >> (8u * (source % 4u))) & 0xffu;
          value = (value & ~(0xffu << (8u * i))) | (bits << (8u * i));
        }
      }
      targetWords[word] = value;
    }`,
  );
}
