// The plain way on a GPU, to compare with: scores, softmax and product as three kernels, the classic
// 16 × 16 tiles in workgroup memory, scores and weights in global memory. It is checked against the
// reference before it is timed, so that it is no easier to beat than it looks.
import { flashMla } from '../cuda/app.mjs';
import { randomRows, shuffled } from './problems.mjs';
import { median } from './timing.mjs';

const [page, dQk, dV] = [64, 576, 512];
const [mapRead, copySrc, copyDst, uniform, storage, queryResolve] = [1, 4, 8, 0x40, 0x80, 0x200];

const bf16 = `
fn bf16(codes: u32, i: u32) -> f32 { return bitcast<f32>(select(codes << 16u, codes & 0xffff0000u, (i & 1u) == 1u)); }
struct Size { b: u32, sK: u32, hQ: u32, maxBlocks: u32 }
`;

const scores = `${bf16}
@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> q: array<u32>;
@group(0) @binding(2) var<storage, read> cache: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<i32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;
var<workgroup> tileQ: array<f32, 256>;
var<workgroup> tileK: array<f32, 256>;
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>) {
  let request = group.z;
  let token = group.x * 16u + at.y;
  let block = u32(table[request * size.maxBlocks + token / ${page}u]);
  let row = (block * ${page}u + token % ${page}u) * ${dQk}u;
  let head = group.y * 16u + at.y;
  var sum = 0.0;
  for (var c = 0u; c < ${dQk}u; c += 16u) {
    let e = row + c + at.x;
    tileK[at.y * 16u + at.x] = bf16(cache[e >> 1u], e);
    let f = (request * size.hQ + head) * ${dQk}u + c + at.x;
    tileQ[at.y * 16u + at.x] = bf16(q[f >> 1u], f);
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) { sum += tileQ[at.y * 16u + k] * tileK[at.x * 16u + k]; }
    workgroupBarrier();
  }
  scores[(request * size.hQ + head) * size.sK + group.x * 16u + at.x] = sum * ${1 / Math.sqrt(dQk)};
}`;

const softmax = `${bf16}
@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;
var<workgroup> shared_: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) i: u32) {
  let row = group.x * size.sK;
  var largest = -3e38;
  for (var t = i; t < size.sK; t += 256u) { largest = max(largest, scores[row + t]); }
  shared_[i] = largest;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half >>= 1u) {
    if (i < half) { shared_[i] = max(shared_[i], shared_[i + half]); }
    workgroupBarrier();
  }
  let m = shared_[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var t = i; t < size.sK; t += 256u) {
    let weight = exp(scores[row + t] - m);
    scores[row + t] = weight;
    sum += weight;
  }
  shared_[i] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half >>= 1u) {
    if (i < half) { shared_[i] += shared_[i + half]; }
    workgroupBarrier();
  }
  let inverse = 1.0 / shared_[0];
  for (var t = i; t < size.sK; t += 256u) { scores[row + t] *= inverse; }
}`;

const product = `${bf16}
@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> cache: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<i32>;
@group(0) @binding(4) var<storage, read_write> result: array<f32>;
var<workgroup> tileP: array<f32, 256>;
var<workgroup> tileV: array<f32, 256>;
@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>) {
  let request = group.z;
  let head = group.y * 16u + at.y;
  let column = group.x * 16u + at.x;
  var sum = 0.0;
  for (var t = 0u; t < size.sK; t += 16u) {
    tileP[at.y * 16u + at.x] = scores[(request * size.hQ + head) * size.sK + t + at.x];
    let token = t + at.y;
    let block = u32(table[request * size.maxBlocks + token / ${page}u]);
    let e = (block * ${page}u + token % ${page}u) * ${dQk}u + column;
    tileV[at.y * 16u + at.x] = bf16(cache[e >> 1u], e);
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) { sum += tileP[at.y * 16u + k] * tileV[k * 16u + at.x]; }
    workgroupBarrier();
  }
  result[(request * size.hQ + head) * ${dV}u + column] = sum;
}`;

/**
 * Median milliseconds of the three kernels together. sK and hQ are multiples of 64 and 16. Throws where
 * their answer to a small problem is wrong.
 */
export async function plainAttention({ b, sK, hQ }, repeats) {
  const { requestAdapter } = await flashMla('runtime/webgpu/gpu.js');
  const adapter = await requestAdapter();
  const names = ['maxBufferSize', 'maxStorageBufferBindingSize'];
  const device = await adapter.requestDevice({
    requiredFeatures: ['timestamp-query'],
    requiredLimits: Object.fromEntries(names.map((name) => [name, adapter.limits[name]])),
  });
  try {
    const error = await largestError(device);
    const plan = await planOf(device, { b, sK, hQ });
    const times = [];
    for (let i = 0; i < repeats + 2; i++) times.push(await plan.run());
    return { ms: median(times.slice(2)), largestError: error };
  } finally {
    device.destroy();
  }
}

/** Runs the kernels on a small problem. Throws unless they agree with the reference in float64. */
async function largestError(device) {
  const { denseDecode, hostTensor } = await flashMla('ops/reference.js');
  const [b, sK, hQ] = [2, 128, 32];
  const plan = await planOf(device, { b, sK, hQ });
  await plan.run();
  const actual = new Float32Array(await read(device, plan.result));
  const blocks = plan.order.length;
  const { out } = denseDecode({
    q: hostTensor('bf16', [b, 1, hQ, dQk], plan.queries),
    kCache: hostTensor('bf16', [blocks, page, 1, dQk], plan.rows.subarray(0, blocks * page * dQk)),
    blockTable: hostTensor('i32', [b, blocks / b], plan.order),
    cacheSeqlens: hostTensor('i32', [b], new Int32Array(b).fill(sK)),
    headDimV: dV,
  });
  const error = out.reduce((most, value, i) => {
    const distance = Math.abs(value - actual[i]);
    return Number.isNaN(distance) ? Infinity : Math.max(most, distance); // NaN would pass a maximum.
  }, 0);
  if (!(actual.length === out.length && error < 1e-5)) {
    throw new Error(`the plain kernels are wrong by ${error}: their time would mean nothing`);
  }
  return error;
}

/** The kernels with their inputs on the device; pages in random order. */
async function planOf(device, { b, sK, hQ }) {
  const buffer = (size, usage = storage | copyDst) => device.createBuffer({ size, usage });
  const maxBlocks = Math.ceil(sK / page);
  const cache = buffer(b * maxBlocks * page * dQk * 2);
  const rows = randomRows(page * dQk * 64);
  for (let at = 0; at < cache.size; at += rows.byteLength) {
    const bytes = Math.min(rows.byteLength, cache.size - at);
    device.queue.writeBuffer(cache, at, rows, 0, bytes / 2);
  }
  const q = buffer(b * hQ * dQk * 2);
  const queries = randomRows(b * hQ * dQk, 3);
  device.queue.writeBuffer(q, 0, queries);
  const table = buffer(b * maxBlocks * 4);
  const order = shuffled(b * maxBlocks);
  device.queue.writeBuffer(table, 0, order);
  const weights = buffer(b * hQ * sK * 4);
  const result = buffer(b * hQ * dV * 4, storage | copySrc);
  const size = buffer(16, uniform | copyDst);
  device.queue.writeBuffer(size, 0, Uint32Array.of(b, sK, hQ, maxBlocks));

  const step = async (code, buffers, grid) => {
    const module = device.createShaderModule({ code });
    const pipeline = await device.createComputePipelineAsync({
      layout: 'auto',
      compute: { module },
    });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((each, binding) => ({ binding, resource: { buffer: each } })),
    });
    return { pipeline, group, grid };
  };
  const steps = [
    await step(scores, [size, q, cache, table, weights], [sK / 16, hQ / 16, b]),
    await step(softmax, [size, weights], [b * hQ, 1, 1]),
    await step(product, [size, weights, cache, table, result], [dV / 16, hQ / 16, b]),
  ];
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const resolved = buffer(16, queryResolve | copySrc);

  /** Milliseconds of all three. */
  const run = async () => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    });
    for (const { pipeline, group, grid } of steps) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    device.queue.submit([encoder.finish()]);
    const [begin, end] = new BigUint64Array(await read(device, resolved));
    return Number(end - begin) / 1e6;
  };
  return { run, result, rows, queries, order };
}

/** The bytes of a buffer. */
async function read(device, buffer) {
  const staging = device.createBuffer({ size: buffer.size, usage: mapRead | copyDst });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(mapRead);
  const bytes = staging.getMappedRange().slice(0);
  staging.destroy();
  return bytes;
}
