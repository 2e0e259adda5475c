import { decodeE4m3 as e4m3Value } from '../../tensor/float8.ts';
import { decodeE4m3 } from './wgsl/numbers.ts';

/**
 * Whether the fast e4m3 decoding gives every code its value on a device. WGSL lets a device flush the
 * subnormal halves that it goes through, so the device is asked.
 */
export async function keepsHalfSubnormals(device: GPUDevice): Promise<boolean> {
  const module = device.createShaderModule({
    code: `${decodeE4m3('half')}
    @group(0) @binding(0) var<storage, read_write> values: array<vec4<f32>>;
    @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
      values[i] = e4m3Quad(bitcast<u32>(values[i].x)) * E4M3_GAIN;
    }`,
  });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const buffer = device.createBuffer({ size: 1024, usage: 0x80 | 0x08 | 0x04 }); // STORAGE, COPY_DST, COPY_SRC
  const staging = device.createBuffer({ size: 1024, usage: 0x01 | 0x08 }); // MAP_READ, COPY_DST
  const codes = new Uint8Array(1024);
  for (let i = 0; i < 256; i++) codes[Math.floor(i / 4) * 16 + (i % 4)] = i;
  device.queue.writeBuffer(buffer, 0, codes);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [{ binding: 0, resource: { buffer } }];
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, 1024);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1); // GPUMapMode.READ
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  buffer.destroy();
  return values.every((value, code) => {
    const expected = e4m3Value(code);
    return value === expected || (Number.isNaN(value) && Number.isNaN(expected));
  });
}
