import { type KernelSource, kernel } from '../../../runtime/webgpu/wgsl/kernel.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';

/** What the WGSL depends on. */
export interface IndexTopKConfig {
  readonly hasStarts: boolean;
  readonly mapped: boolean;
}

const threads = 256;

/**
 * A workgroup chooses of a row by the bytes of its values, from the highest on: a histogram says which
 * byte the last one chosen has. Then each thread writes down what is chosen of a stretch of columns.
 */
export function indexTopKKernel({ hasStarts, mapped }: IndexTopKConfig): KernelSource {
  const read = (name: string, element: 'u32' | 'i32' | 'f32') =>
    ({ name, access: 'read', element }) as const;
  return kernel(
    'index top k',
    new Params({
      ...{ rows: 'u32', columns: 'u32', topK: 'u32', firstRow: 'u32', queries: 'u32' },
      ...{ logitsStart: 'u32', logitsStride: 'u32', endsStart: 'u32', indicesStart: 'u32' },
      ...(hasStarts && { startsStart: 'u32' }),
      ...(mapped && { tableStart: 'u32', tableStride: 'u32', tableWidth: 'u32', pageSize: 'u32' }),
    }),
    [
      ...[read('logits', 'u32'), read('ends', 'i32')],
      ...(hasStarts ? [read('starts', 'i32')] : []),
      ...(mapped ? [read('blockTable', 'i32')] : []),
      { name: 'indices', access: 'read_write', element: 'i32' },
    ],
    `var<workgroup> histogram: array<atomic<u32>, 256>;
    var<workgroup> counts: array<vec2<u32>, ${threads}>;
    var<workgroup> found: vec2<u32>;

    // Integers that are ordered as floats are; NaN is as small as −∞, and −0 is 0.
    fn orderOf(at: u32) -> u32 {
      var bits = logits[at];
      if ((bits & 0x7fffffffu) > 0x7f800000u) { bits = 0xff800000u; }
      if (bits == 0x80000000u) { bits = 0u; }
      return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
    }

    @compute @workgroup_size(${threads})
    fn main(
      @builtin(workgroup_id) workgroup: vec3<u32>,
      @builtin(num_workgroups) workgroups: vec3<u32>,
      @builtin(local_invocation_index) thread: u32,
    ) {
      let row = workgroup.x + workgroup.y * workgroups.x;
      if (row >= params.rows) { return; }
      let end = u32(clamp(ends[params.endsStart + row], 0, i32(params.columns)));
      let start = ${hasStarts ? 'min(end, u32(max(0, starts[params.startsStart + row])))' : '0u'};
      let count = end - start;
      let first = params.logitsStart + row * params.logitsStride + start;
      let out = params.indicesStart + row * params.topK;
      var prefix = 0u;
      var need = params.topK;
      if (count > params.topK) {
        for (var digit = 0u; digit < 4u; digit++) {
          let shift = 24u - 8u * digit;
          workgroupBarrier();
          atomicStore(&histogram[thread], 0u);
          workgroupBarrier();
          for (var i = thread; i < count; i += ${threads}u) {
            let order = orderOf(first + i);
            // Shifts by 32 bits are not defined.
            if (digit == 0u || ((order ^ prefix) >> ((shift + 8u) & 31u)) == 0u) {
              atomicAdd(&histogram[(order >> shift) & 0xffu], 1u);
            }
          }
          workgroupBarrier();
          if (thread == 0u) {
            var left = need;
            var bin = 255u;
            loop {
              let own = atomicLoad(&histogram[bin]);
              if (own >= left || bin == 0u) { break; }
              left -= own;
              bin--;
            }
            found = vec2(bin, left);
          }
          workgroupBarrier();
          prefix = prefix | (found.x << shift);
          need = found.y;
        }
      }
      let stretch = (count + ${threads - 1}u) / ${threads}u;
      let begin = min(count, thread * stretch);
      let stop = min(count, begin + stretch);
      var own = vec2<u32>();
      for (var i = begin; i < stop; i++) {
        let order = orderOf(first + i);
        own += vec2(select(0u, 1u, order > prefix), select(0u, 1u, order == prefix));
      }
      counts[thread] = own;
      workgroupBarrier();
      var before = vec2<u32>();
      for (var other = 0u; other < thread; other++) { before += counts[other]; }
      for (var i = begin; i < stop; i++) {
        let order = orderOf(first + i);
        let isEqual = order == prefix;
        if (order > prefix || (isEqual && before.y < need)) {
          var place = i32(i);
          ${
            mapped
              ? `let number = i / params.pageSize;
          let request = (params.firstRow + row) / params.queries;
          var page = -1;
          if (number < params.tableWidth) {
            page = blockTable[params.tableStart + request * params.tableStride + number];
          }
          place = select(page * i32(params.pageSize) + i32(i % params.pageSize), -1, page < 0);`
              : ''
          }
          indices[out + before.x + min(before.y, need)] = place;
        }
        before += vec2(select(0u, 1u, order > prefix), select(0u, 1u, isEqual));
      }
      for (var i = min(count, params.topK) + thread; i < params.topK; i += ${threads}u) {
        indices[out + i] = -1;
      }
    }`,
  );
}
