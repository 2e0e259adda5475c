import { type KernelSource, kernel } from '../../../../runtime/webgpu/wgsl/kernel.ts';
import { encode16, nanFunctions } from '../../../../runtime/webgpu/wgsl/numbers.ts';
import { Params } from '../../../../runtime/webgpu/wgsl/params.ts';
import { join } from '../../../../runtime/webgpu/wgsl/text.ts';
import { workspacePitch } from '../finish.ts';
import { sinkShare } from '../sink.ts';
import { splitParams } from '../work.ts';

/** What decides the text of a combine kernel. */
export interface CombineConfig {
  readonly output: 'bf16' | 'f16';
  readonly headDimV: number;
  readonly sink: boolean;
  /** e4m3: the output is multiplied by descaleK. */
  readonly descale: boolean;
}

const invocations = 64;

/**
 * Merges the splits of each row: out = Σ exp(lse_i − lse) · out_i, exp(lse) = Σ exp(lse_i). A workgroup
 * takes a row, an invocation four columns at a time.
 */
export function combineKernel(config: CombineConfig): KernelSource {
  const { output, headDimV, sink, descale } = config;
  const pitch = workspacePitch(headDimV);
  return kernel(
    combineName(config),
    new Params({
      rows: 'u32',
      rowsPerRequest: 'u32',
      numHeadsQ: 'u32',
      seqLenQ: 'u32',
      numSplits: 'u32',
      ...splitParams,
      output: 'u32',
      lse: 'u32',
      ...(sink && { sink: 'u32' as const }),
      ...(descale && { descaleK: 'f32' as const }),
    }),
    [
      { name: 'workspace', access: 'read', element: 'vec4<f32>' },
      { name: 'numSplits', access: 'read', element: 'i32' },
      ...(sink ? [{ name: 'sink', access: 'read' as const, element: 'u32' as const }] : []),
      { name: 'output', access: 'read_write', element: 'u32' },
      { name: 'lse', access: 'read_write', element: 'u32' },
    ],
    join(
      'const MASKED = -1e30;',
      encode16,
      nanFunctions,
      sink && sinkShare,
      `
      @compute @workgroup_size(${invocations})
      fn main(
        @builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
      ) {
        let row = workgroup.x + workgroup.y * workgroups.x;
        if (row >= params.rows) { return; }
        let request = row / params.rowsPerRequest;
        let rowOfRequest = row % params.rowsPerRequest;
        let before = numSplits[params.numSplits + request];
        let splits = u32(max(0, numSplits[params.numSplits + request + 1u] - before));
        let isFixed = params.slotsPerRequest > 0u;
        let firstSplit = select(min(u32(before), params.slots), request * params.slotsPerRequest, isFixed);
        let most = select(params.slots - firstSplit, params.slotsPerRequest, isFixed);
        let endSplit = firstSplit + min(splits, most);

        var maximum = MASKED;
        for (var split = firstSplit; split < endSplit; split++) {
          maximum = max(maximum, workspace[(split * params.rowsPerRequest + rowOfRequest) * ${pitch}u + ${pitch - 1}u].x);
        }
        var sum = 0.0;
        for (var split = firstSplit; split < endSplit; split++) {
          let lse2 = workspace[(split * params.rowsPerRequest + rowOfRequest) * ${pitch}u + ${pitch - 1}u].x;
          sum += select(exp2(lse2 - maximum), 0.0, lse2 <= MASKED);
        }
        let isEmpty = sum == 0.0;
        let isNan = !isFinite(sum);
        let total = select(maximum + log2(sum), toNan(sum), isNan);
        var factor = select(select(1.0 / sum, 0.0, isEmpty), total, isNan)${descale ? ' * params.descaleK' : ''};
        let head = rowOfRequest % params.numHeadsQ;
        ${sink ? 'factor *= sinkShare(total, sink[params.sink + head]);' : ''}
        if (thread == 0u) {
          let position = rowOfRequest / params.numHeadsQ;
          let at = params.lse + (request * params.numHeadsQ + head) * params.seqLenQ + position;
          lse[at] = select(bitcast<u32>(total * 0.6931471805599453), 0x7f800000u, isEmpty);
        }

        for (var column = thread; column < ${headDimV / 4}u; column += ${invocations}u) {
          var value = vec4<f32>();
          for (var split = firstSplit; split < endSplit; split++) {
            let at = (split * params.rowsPerRequest + rowOfRequest) * ${pitch}u;
            let lse2 = workspace[at + ${pitch - 1}u].x;
            value += select(exp2(lse2 - maximum), 0.0, lse2 <= MASKED) * workspace[at + column];
          }
          value = select(value * factor, vec4<f32>(), isEmpty);
          let at = params.output + row * ${headDimV / 2}u + column * 2u;
          output[at] = ${output}Word(value.xy);
          output[at + 1u] = ${output}Word(value.zw);
        }
      }`,
    ),
  );
}

export function combineName({ output, headDimV, sink, descale }: CombineConfig): string {
  return `combine ${output} ${headDimV}${sink ? ', sink' : ''}${descale ? ', descale' : ''}`;
}
