import { type KernelSource, kernel } from '../wgsl/kernel.ts';
import { Params } from '../wgsl/params.ts';

export const checkName = 'check';

/** Reports the first element that is out of range, or below the one before it. One workgroup. */
export function checkKernel(): KernelSource {
  return kernel(
    checkName,
    new Params({ first: 'u32', count: 'u32', low: 'i32', high: 'i32', sequence: 'u32' }),
    [
      { name: 'numbers', access: 'read', element: 'i32' },
      { name: 'report', access: 'read_write', element: 'u32' },
    ],
    `
    var<workgroup> firstBad: atomic<u32>;

    @compute @workgroup_size(256)
    fn main(@builtin(local_invocation_index) thread: u32) {
      if (thread == 0u) { atomicStore(&firstBad, 0xffffffffu); }
      workgroupBarrier();
      for (var i = thread; i < params.count; i += 256u) {
        let number = numbers[params.first + i];
        var isBad = number < params.low || number > params.high;
        if (i > 0u) { isBad = isBad || number < numbers[params.first + i - 1u]; }
        if (isBad) { atomicMin(&firstBad, i); }
      }
      workgroupBarrier();
      let bad = atomicLoad(&firstBad);
      if (thread == 0u && bad != 0xffffffffu && report[0] == 0u) {
        report[0] = params.sequence;
        report[1] = bad;
        report[2] = bitcast<u32>(numbers[params.first + bad]);
      }
    }`,
  );
}
