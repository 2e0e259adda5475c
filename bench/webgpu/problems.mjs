import { flashMla } from '../cuda/app.mjs';

const api = await flashMla('index.js');
const page = 64;
const dQk = 576;
const dV = 512;

/** bf16 codes of values between −1 and 1. */
export function randomRows(count, seed = 1) {
  const codes = new Uint16Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    codes[i] = 0x3f00 - (((state >>> 16) & 0x1ff) | 0) + ((state >>> 8) & 1 ? 0x8000 : 0);
  }
  return codes;
}

/** Fills a tensor with the same bytes again and again. */
function fill(tensor, bytesPerBlock, makeBlocks) {
  const blocks = tensor.shape[0];
  const chunk = Math.min(blocks, Math.max(1, Math.floor(2 ** 24 / bytesPerBlock)));
  const data = makeBlocks(chunk);
  for (let first = 0; first < blocks; first += chunk) {
    const count = Math.min(chunk, blocks - first);
    const part = data.subarray(0, (data.length / chunk) * count);
    tensor.slice(0, first, first + count).write(part);
  }
}

/** 0 to count − 1 in an order that looks random. */
export function shuffled(count) {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  let state = 7;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    const j = (state >>> 8) % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Dense decoding of b requests of sK tokens each, pages in random order. */
export function denseProblem(device, { b, sK, hQ }) {
  const maxBlocks = Math.ceil(sK / page);
  const q = device.tensor(randomRows(b * hQ * dQk, 3), [b, 1, hQ, dQk], 'bf16');
  const kCache = device.empty([b * maxBlocks, page, 1, dQk], 'bf16');
  fill(kCache, page * dQk * 2, (n) => randomRows(n * page * dQk));
  const blockTable = device.tensor(shuffled(b * maxBlocks), [b, maxBlocks], 'i32');
  const cacheSeqlens = device.tensor(new Int32Array(b).fill(sK), [b], 'i32');
  const out = device.empty([b, 1, hQ, dV], 'bf16');
  const lse = device.empty([b, hQ, 1], 'f32');
  const [schedMeta] = api.getMlaMetadata();
  const call = { q, kCache, blockTable, cacheSeqlens, headDimV: dV, schedMeta, out, lse };
  return {
    enqueue: () => api.flashMlaWithKvCache(call),
    flops: 2 * b * sK * hQ * (dQk + dV),
    bytes: 2 * b * sK * dQk,
    dispose: () => dispose([q, kCache, blockTable, cacheSeqlens, out, lse, schedMeta]),
  };
}

const layouts = {
  bf16: { dtype: 'bf16', width: 576, dQk: 576, bytes: 1152 },
  v32: { dtype: 'u8', width: 656, dQk: 576, bytes: 656 },
  model1: { dtype: 'u8', width: 584, dQk: 512, bytes: 584 },
};

/** Sparse decoding of topk tokens for each of b requests. */
export function sparseProblem(device, { b, sK, topk, hQ, layout }) {
  const { dtype, width, dQk: columns, bytes } = layouts[layout];
  const blocks = b * Math.ceil(sK / page);
  const q = device.tensor(randomRows(b * hQ * columns, 3), [b, 1, hQ, columns], 'bf16');
  const kCache = device.empty([blocks, page, 1, width], dtype);
  if (layout === 'bf16') fill(kCache, page * bytes, (n) => randomRows(n * page * width));
  else fillPacked(device, kCache, layout);
  const indices = new Int32Array(b * topk);
  let state = 11;
  for (let i = 0; i < indices.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    indices[i] = (state >>> 1) % (blocks * page);
  }
  const index = device.tensor(indices, [b, 1, topk], 'i32');
  const out = device.empty([b, 1, hQ, dV], 'bf16');
  const lse = device.empty([b, hQ, 1], 'f32');
  const [schedMeta] = api.getMlaMetadata();
  const call = { q, kCache, indices: index, headDimV: dV, schedMeta, out, lse };
  return {
    enqueue: () => api.flashMlaWithKvCache(call),
    flops: 2 * b * topk * hQ * (columns + dV),
    bytes: b * topk * bytes,
    dispose: () => dispose([q, kCache, index, out, lse, schedMeta]),
  };
}

/** Packs random rows on the device, some blocks at a time. */
function fillPacked(device, kCache, layout) {
  const chunk = Math.min(kCache.shape[0], 128);
  const columns = layouts[layout].dQk;
  const rows = device.tensor(randomRows(chunk * page * columns), [chunk, page, 1, columns], 'bf16');
  for (let first = 0; first < kCache.shape[0]; first += chunk) {
    const count = Math.min(chunk, kCache.shape[0] - first);
    const [source, out] = [rows.slice(0, 0, count), kCache.slice(0, first, first + count)];
    api.quantizeKvCache({ kCache: source, layout, out });
  }
  rows.dispose();
}

function dispose(things) {
  for (const each of things) each.dispose();
}
