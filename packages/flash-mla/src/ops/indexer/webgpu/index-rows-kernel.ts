import {
  type KernelSource,
  kernel,
  type StorageBinding,
} from '../../../runtime/webgpu/wgsl/kernel.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import { encodeE4m3, type RowDType, rowReader } from '../../../runtime/webgpu/wgsl/rows.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';
import { indexDim, indexRopeDim, indexTokenBytes, leastMagnitude } from '../limits.ts';

/** What the WGSL depends on. */
export interface IndexRowsConfig {
  readonly kind: 'queries' | 'keys';
  readonly x: RowDType;
  readonly weights: RowDType;
  readonly interleaved: boolean;
  readonly hadamard: boolean;
}

const threads = 64;
const read = (name: string, element: StorageBinding['element'] = 'u32') =>
  ({ name, access: 'read', element }) as const;
const write = (name: string, element: StorageBinding['element'] = 'u32') =>
  ({ name, access: 'read_write', element }) as const;

/** A workgroup takes a row of 128: a thread two dimensions of it. */
export function indexRowsKernel(config: IndexRowsConfig): KernelSource {
  const { kind, x, weights, interleaved, hadamard } = config;
  const isKeys = kind === 'keys';
  const half = indexRopeDim / 2;
  return kernel(
    `index ${kind}`,
    new Params({
      ...{ vectors: 'u32', heads: 'u32', known: 'u32', weightScale: 'f32', eps: 'f32' },
      ...{ xStart: 'u32', xStride: 'u32', xHeadStride: 'u32', cosStart: 'u32', sinStart: 'u32' },
      ...{ positionsStart: 'u32', weightsStart: 'u32', weightsStride: 'u32', outStart: 'u32' },
      ...(isKeys
        ? {
            biasStart: 'u32',
            slotsStart: 'u32',
            firstSlot: 'u32',
            capacity: 'u32',
            pageSize: 'u32',
          }
        : { outWeightsStart: 'u32' }),
    }),
    [
      ...[read('x'), read('cos', 'f32'), read('sin', 'f32'), read('positions'), read('weights')],
      ...(isKeys ? [read('bias'), read('slots')] : []),
      write('out'),
      ...(isKeys ? [] : [write('outWeights', 'f32')]),
    ],
    join(
      encodeE4m3,
      rowReader('x', x),
      rowReader('weights', weights),
      isKeys && rowReader('bias', weights),
      `var<workgroup> row: array<f32, ${indexDim}>;
      var<workgroup> sums: array<f32, ${threads}>;

      fn total(thread: u32, value: f32) -> f32 {
        workgroupBarrier();
        sums[thread] = value;
        for (var step = ${threads / 2}u; step > 0u; step = step / 2u) {
          workgroupBarrier();
          if (thread < step) { sums[thread] = sums[thread] + sums[thread + step]; }
        }
        workgroupBarrier();
        return sums[0];
      }

      fn largest(thread: u32, value: f32) -> f32 {
        workgroupBarrier();
        sums[thread] = value;
        for (var step = ${threads / 2}u; step > 0u; step = step / 2u) {
          workgroupBarrier();
          if (thread < step) { sums[thread] = max(sums[thread], sums[thread + step]); }
        }
        workgroupBarrier();
        return sums[0];
      }

      @compute @workgroup_size(${threads})
      fn main(
        @builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
      ) {
        let vector = workgroup.x + workgroup.y * workgroups.x;
        if (vector >= params.vectors) { return; }
        let token = vector / params.heads;
        let head = vector % params.heads;
        let xRow = params.xStart + token * params.xStride + head * params.xHeadStride;
        let one = thread;
        let two = thread + ${threads}u;
        var a = readX(xRow + one);
        var b = readX(xRow + two);
        ${
          isKeys
            ? `let mean = total(thread, a + b) / ${indexDim}.0;
        a = a - mean;
        b = b - mean;
        let gain = 1.0 / sqrt(total(thread, a * a + b * b) / ${indexDim}.0 + params.eps);
        a = a * gain * readWeights(params.weightsStart + one) + readBias(params.biasStart + one);
        b = b * gain * readWeights(params.weightsStart + two) + readBias(params.biasStart + two);`
            : ''
        }
        row[one] = a;
        row[two] = b;
        workgroupBarrier();
        let position = positions[params.positionsStart + token];
        if (position < params.known && thread < ${half}u) {
          let angle = position * ${half}u + thread;
          let c = cos[params.cosStart + angle];
          let s = sin[params.sinStart + angle];
          let first = ${interleaved ? '2u * thread' : 'thread'};
          let second = ${interleaved ? '2u * thread + 1u' : `thread + ${half}u`};
          let p = row[first];
          let q = row[second];
          row[first] = p * c - q * s;
          row[second] = p * s + q * c;
        }
        ${
          hadamard
            ? `for (var step = 1u; step < ${indexDim}u; step = step * 2u) {
          workgroupBarrier();
          let low = (thread / step) * step * 2u + thread % step;
          let p = row[low];
          let q = row[low + step];
          row[low] = p + q;
          row[low + step] = p - q;
        }
        workgroupBarrier();
        row[one] = row[one] * ${1 / Math.sqrt(indexDim)};
        row[two] = row[two] * ${1 / Math.sqrt(indexDim)};`
            : ''
        }
        workgroupBarrier();
        let most = largest(thread, max(${leastMagnitude}, max(abs(row[one]), abs(row[two]))));
        // Divided in a way that rounds as everywhere: 448 is 7 · 2^6.
        let bits = bitcast<u32>(most);
        let isAbove = (bits & 0x7fffffu) > 0x600000u;
        let exponent = (bits >> 23u) - 8u + select(0u, 1u, isAbove);
        let scale = bitcast<f32>(exponent << 23u);
        if (thread < ${indexDim / 4}u) {
          let at = 4u * thread;
          let inverse = 1.0 / scale;
          let word = e4m3Code(row[at] * inverse) | (e4m3Code(row[at + 1u] * inverse) << 8u)
            | (e4m3Code(row[at + 2u] * inverse) << 16u) | (e4m3Code(row[at + 3u] * inverse) << 24u);
          ${
            isKeys
              ? `let slot = slots[params.slotsStart + token] - params.firstSlot;
          if (slot < params.capacity) {
            let page = slot / params.pageSize;
            let place = slot % params.pageSize;
            let start = params.outStart / 4u + page * params.pageSize * ${indexTokenBytes / 4}u;
            out[start + place * ${indexDim / 4}u + thread] = word;
            if (thread == 0u) {
              out[start + params.pageSize * ${indexDim / 4}u + place] = bitcast<u32>(scale);
            }
          }`
              : `out[params.outStart / 4u + vector * ${indexDim / 4}u + thread] = word;
          if (thread == 0u) {
            let weight = readWeights(params.weightsStart + token * params.weightsStride + head);
            outWeights[params.outWeightsStart + vector] = weight * params.weightScale * scale;
          }`
          }
        }
      }`,
    ),
  );
}
