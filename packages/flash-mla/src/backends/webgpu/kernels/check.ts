import { type KernelSource, kernel } from '../wgsl/kernel.ts';
import { Params } from '../wgsl/params.ts';

/** What decides the text of a check kernel. */
export interface CheckConfig {
  readonly ascending: boolean;
  readonly counts: boolean;
}

export function checkName({ ascending, counts }: CheckConfig): string {
  return `check${ascending ? ', ascending' : ''}${counts ? ', counted' : ''}`;
}

/** Reports the first element that is out of range. One workgroup: it must only be right. */
export function checkKernel(config: CheckConfig): KernelSource {
  const { ascending, counts } = config;
  return kernel(
    checkName(config),
    new Params({
      first: 'u32',
      outer: 'u32',
      rows: 'u32',
      columns: 'u32',
      outerStride: 'u32',
      rowStride: 'u32',
      low: 'i32',
      high: 'i32',
      alsoAllowed: 'i32',
      counts: counts ? 'u32' : undefined,
      unit: 'u32',
      sequence: 'u32',
    }),
    [
      { name: 'numbers', access: 'read', element: 'i32' },
      ...(counts ? [{ name: 'counts', access: 'read' as const, element: 'i32' as const }] : []),
      { name: 'report', access: 'read_write', element: 'u32' },
    ],
    `
    var<workgroup> firstBad: atomic<u32>;

    @compute @workgroup_size(256)
    fn main(@builtin(local_invocation_index) thread: u32) {
      if (thread == 0u) { atomicStore(&firstBad, 0xffffffffu); }
      workgroupBarrier();
      for (var row = 0u; row < params.outer * params.rows; row++) {
        let begin = params.first + row / params.rows * params.outerStride + row % params.rows * params.rowStride;
        ${
          counts
            ? `let count = u32(max(0, counts[params.counts + row / params.rows]));
              let end = min(params.columns, count / params.unit + select(0u, 1u, count % params.unit > 0u));`
            : 'let end = params.columns;'
        }
        for (var column = thread; column < end; column += 256u) {
          let number = numbers[begin + column];
          var isBad = (number < params.low || number > params.high) && number != params.alsoAllowed;
          ${ascending ? 'if (column > 0u) { isBad = isBad || number < numbers[begin + column - 1u]; }' : ''}
          if (isBad) { atomicMin(&firstBad, row * params.columns + column); }
        }
      }
      workgroupBarrier();
      let bad = atomicLoad(&firstBad);
      if (thread == 0u && bad != 0xffffffffu && report[0] == 0u) {
        let row = bad / params.columns;
        let begin = params.first + row / params.rows * params.outerStride + row % params.rows * params.rowStride;
        report[0] = params.sequence;
        report[1] = bad;
        report[2] = bitcast<u32>(numbers[begin + bad % params.columns]);
      }
    }`,
  );
}
