import { decodeE4m3 as e4m3Value } from '@flash-mla/core';
import { decodeE4m3 } from './wgsl/numbers.ts';

/** What WGSL leaves open and kernels would like to rely on. */
export interface DeviceFacts {
  /** `unpack2x16float` keeps subnormal halves. */
  readonly halfSubnormals: boolean;
  /** Quad operations are there, and a quad is four neighbouring invocations. */
  readonly quads: boolean;
}

/**
 * Asks a device by running a small kernel: every e4m3 code goes through the fast decoding, and every
 * invocation swaps its number with its neighbours in the quad.
 */
export async function probeDevice(device: GPUDevice): Promise<DeviceFacts> {
  const hasQuads = device.features.has('subgroups');
  const module = device.createShaderModule({
    code: `${hasQuads ? 'enable subgroups;' : ''}
    ${decodeE4m3('half')}
    @group(0) @binding(0) var<storage, read_write> data: array<vec4<u32>>;
    @compute @workgroup_size(256) fn main(@builtin(local_invocation_index) i: u32) {
      let value = e4m3Quad(i).x * E4M3_GAIN;
      data[i] = vec4(bitcast<u32>(value), ${hasQuads ? 'quadSwapX(i), quadSwapY(i)' : '0u, 0u'}, 0u);
    }`,
  });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const bytes = 256 * 16;
  const buffer = device.createBuffer({ size: bytes, usage: 0x80 | 0x04 }); // STORAGE | COPY_SRC
  const staging = device.createBuffer({ size: bytes, usage: 0x01 | 0x08 }); // MAP_READ | COPY_DST
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [{ binding: 0, resource: { buffer } }];
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1); // GPUMapMode.READ
  const answer = staging.getMappedRange().slice(0);
  staging.destroy();
  buffer.destroy();
  const numbers = new Uint32Array(answer);
  const values = new Float32Array(answer);
  const codes = Array.from({ length: 256 }, (_, code) => code);
  return {
    halfSubnormals: codes.every((code) => isSame(values[4 * code] as number, e4m3Value(code))),
    quads:
      hasQuads &&
      codes.every((i) => numbers[4 * i + 1] === (i ^ 1) && numbers[4 * i + 2] === (i ^ 2)),
  };
}

function isSame(value: number, expected: number): boolean {
  return value === expected || (Number.isNaN(value) && Number.isNaN(expected));
}
