import { type KernelSource, kernel } from '../../../runtime/webgpu/wgsl/kernel.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import { decodeE4m3Element } from '../../../runtime/webgpu/wgsl/rows.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';
import { indexDim, indexTokenBytes } from '../limits.ts';

/** What the WGSL depends on. */
export interface MqaLogitsConfig {
  readonly heads: number;
  readonly paged: boolean;
  readonly cleanLogits: boolean;
}

/** Columns of a workgroup, a thread each. */
export const logitsColumns = 64;
/** Heads whose query is in shared memory at a time. */
const headsAtOnce = 8;
const keyWords = indexDim / 4;

export function mqaLogitsKernel(config: MqaLogitsConfig): KernelSource {
  const { heads, paged, cleanLogits } = config;
  const read = (name: string, element: 'u32' | 'i32' | 'f32' = 'u32') =>
    ({ name, access: 'read', element }) as const;
  return kernel(
    `mqa logits of ${heads} heads`,
    new Params({
      ...{ rows: 'u32', columns: 'u32', blocks: 'u32', firstRow: 'u32', queries: 'u32' },
      ...{ qStart: 'u32', weightsStart: 'u32', keysStart: 'u32', endsStart: 'u32' },
      ...{ logitsStart: 'u32', logitsStride: 'u32' },
      ...(paged
        ? { tableStart: 'u32', tableStride: 'u32', pageSize: 'u32', numPages: 'u32' }
        : { scalesStart: 'u32', startsStart: 'u32' }),
    }),
    [
      ...[read('q'), read('weights', 'f32'), read('keys'), read('ends', 'i32')],
      ...(paged ? [read('blockTable')] : [read('scales', 'f32'), read('starts', 'i32')]),
      { name: 'logits', access: 'read_write', element: 'f32' },
    ],
    join(
      decodeE4m3Element,
      `var<workgroup> query: array<f32, ${headsAtOnce * indexDim}>;

      fn four(word: u32) -> vec4<f32> {
        return vec4(
          e4m3Value(word & 0xffu), e4m3Value((word >> 8u) & 0xffu),
          e4m3Value((word >> 16u) & 0xffu), e4m3Value(word >> 24u),
        );
      }

      @compute @workgroup_size(${logitsColumns})
      fn main(
        @builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
      ) {
        let item = workgroup.x + workgroup.y * workgroups.x;
        if (item >= params.rows * params.blocks) { return; }
        let row = item / params.blocks;
        let column = (item % params.blocks) * ${logitsColumns}u + thread;
        let start = ${paged ? '0' : 'starts[params.startsStart + row]'};
        let end = min(ends[params.endsStart + row], i32(params.columns));
        let isThere = i32(column) >= start && i32(column) < end;
        var isKey = isThere;
        var place = 0u;
        var scale = 0.0;
        if (isThere) {
          ${
            paged
              ? `let request = (params.firstRow + row) / params.queries;
          let number = column / params.pageSize;
          let page = blockTable[params.tableStart + request * params.tableStride + number];
          isKey = page < params.numPages;
          if (isKey) {
            let pageStart = params.keysStart / 4u + page * params.pageSize * ${indexTokenBytes / 4}u;
            let token = column % params.pageSize;
            place = pageStart + token * ${keyWords}u;
            scale = bitcast<f32>(keys[pageStart + params.pageSize * ${keyWords}u + token]);
          }`
              : `place = params.keysStart / 4u + column * ${keyWords}u;
          scale = scales[params.scalesStart + column];`
          }
        }
        var key: array<vec4<f32>, ${keyWords}>;
        for (var i = 0u; i < ${keyWords}u; i++) {
          key[i] = select(vec4<f32>(), four(keys[place + i]), isKey);
        }
        var sum = 0.0;
        for (var first = 0u; first < ${heads}u; first += ${headsAtOnce}u) {
          let some = min(${headsAtOnce}u, ${heads}u - first);
          workgroupBarrier();
          for (var i = thread; i < some * ${keyWords}u; i += ${logitsColumns}u) {
            let word = q[params.qStart / 4u + (row * ${heads}u + first) * ${keyWords}u + i];
            let values = four(word);
            for (var j = 0u; j < 4u; j++) { query[4u * i + j] = values[j]; }
          }
          workgroupBarrier();
          for (var head = 0u; head < some; head++) {
            var product = 0.0;
            for (var i = 0u; i < ${keyWords}u; i++) {
              let at = head * ${indexDim}u + 4u * i;
              let part = vec4(query[at], query[at + 1u], query[at + 2u], query[at + 3u]);
              product += dot(key[i], part);
            }
            let weight = weights[params.weightsStart + row * ${heads}u + first + head];
            sum += weight * max(0.0, product);
          }
        }
        let at = params.logitsStart + row * params.logitsStride + column;
        // −∞, which WGSL has no constant for.
        let none = bitcast<f32>(0xff800000u + min(0u, column));
        if (isKey) { logits[at] = sum * scale; }
        else if (isThere${cleanLogits ? ' || column < params.columns' : ''}) { logits[at] = none; }
      }`,
    ),
  );
}
