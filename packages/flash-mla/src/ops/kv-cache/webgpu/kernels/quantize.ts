import { type KernelSource, kernel } from '../../../../runtime/webgpu/wgsl/kernel.ts';
import {
  decode16,
  decodeE4m3,
  decodeE8m0,
  type E4m3Decoding,
  encode16,
} from '../../../../runtime/webgpu/wgsl/numbers.ts';
import { Params } from '../../../../runtime/webgpu/wgsl/params.ts';
import { join } from '../../../../runtime/webgpu/wgsl/text.ts';
import { layoutOf, packFunctions, packRow, placeOf, placeParams } from './pack-row.ts';

function params() {
  return new Params({ ...placeParams, tokens: 'u32', rows: 'u32' });
}

const main = (body: string) => `
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let token = workgroup.x + workgroup.y * workgroups.x;
  if (token >= params.tokens) { return; }
  let place = placeOf(token);
  ${body}
}`;

/** A workgroup packs a row. */
export function quantizeKernel(layout: 'v32' | 'model1'): KernelSource {
  const { nope, rope } = layoutOf(layout);
  return kernel(
    `quantize ${layout}`,
    params(),
    [
      { name: 'source', access: 'read', element: 'u32' },
      { name: 'packed', access: 'read_write', element: 'u32' },
    ],
    join(
      placeOf(layout),
      packFunctions,
      main(`
        let first = params.rows + token * ${nope.columns + rope.columns}u;
        ${packRow(layout)}`),
    ),
  );
}

/** A workgroup unpacks a row: an invocation takes four columns at a time. */
export function dequantizeKernel(layout: 'v32' | 'model1', e4m3: E4m3Decoding): KernelSource {
  const { nope, rope, tile, ropeWord } = layoutOf(layout);
  const width = nope.columns + rope.columns;
  const scale =
    layout === 'v32'
      ? `bitcast<f32>(packed[place.scales + word * 4u / ${tile}u])`
      : `e8m0((packed[place.scales + word / ${tile}u] >> (8u * (word * 4u / ${tile}u % 4u))) & 0xffu)`;
  return kernel(
    `dequantize ${layout} ${e4m3}`,
    params(),
    [
      { name: 'packed', access: 'read', element: 'u32' },
      { name: 'unpacked', access: 'read_write', element: 'u32' },
    ],
    join(
      placeOf(layout),
      decode16,
      encode16,
      decodeE4m3(e4m3),
      layout === 'model1' && decodeE8m0,
      main(`
        let first = params.rows + token * ${width / 2}u;
        for (var word = thread; word < ${nope.columns / 4}u; word += 64u) {
          let values = e4m3Quad(packed[place.row + word]) * E4M3_GAIN * ${scale};
          unpacked[first + word * 2u] = bf16Word(values.xy);
          unpacked[first + word * 2u + 1u] = bf16Word(values.zw);
        }
        if (thread < ${rope.columns / 2}u) {
          unpacked[first + ${nope.columns / 2}u + thread] = packed[place.row + ${ropeWord}u + thread];
        }`),
    ),
  );
}
