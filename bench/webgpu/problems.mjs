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
    out,
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
  const index = device.tensor(randomIndices(b * topk, blocks * page), [b, 1, topk], 'i32');
  const out = device.empty([b, 1, hQ, dV], 'bf16');
  const lse = device.empty([b, hQ, 1], 'f32');
  const [schedMeta] = api.getMlaMetadata();
  const call = { q, kCache, indices: index, headDimV: dV, schedMeta, out, lse };
  return {
    enqueue: () => api.flashMlaWithKvCache(call),
    out,
    flops: 2 * b * topk * hQ * (columns + dV),
    bytes: b * topk * bytes,
    dispose: () => dispose([q, kCache, index, out, lse, schedMeta]),
  };
}

/** Sparse prefill: sQ queries of 16 heads, each over topk of sK rows of 576. */
export function prefillProblem(device, { sQ, sK, topk }) {
  const hQ = 16;
  const q = device.tensor(randomRows(sQ * hQ * dQk, 3), [sQ, hQ, dQk], 'bf16');
  const kv = device.tensor(randomRows(sK * dQk), [sK, 1, dQk], 'bf16');
  const indices = device.tensor(randomIndices(sQ * topk, sK), [sQ, 1, topk], 'i32');
  const out = device.empty([sQ, hQ, dV], 'bf16');
  const maxLogits = device.empty([sQ, hQ], 'f32');
  const lse = device.empty([sQ, hQ], 'f32');
  const call = { q, kv, indices, smScale: dQk ** -0.5, dV, out, maxLogits, lse };
  return {
    enqueue: () => api.flashMlaSparseFwd(call),
    out,
    dispose: () => dispose([q, kv, indices, out, maxLogits, lse]),
  };
}

/** Dense attention, causal: b sequences of s tokens, 16 heads of 192 with values of 128. */
export function attentionProblem(device, { b, s }) {
  const [h, dim, dimV] = [16, 192, 128];
  const make = (width, seed) =>
    device.tensor(randomRows(b * s * h * width, seed), [b * s, h, width], 'bf16');
  const [q, k, v] = [make(dim, 3), make(dim, 1), make(dimV, 5)];
  const offsets = Int32Array.from({ length: b + 1 }, (_, i) => i * s);
  const cuSeqlensQo = device.tensor(offsets, [b + 1], 'i32');
  const out = device.empty([b * s, h, dimV], 'bf16');
  const lse = device.empty([h, b * s], 'f32');
  const call = {
    ...{ q, k, v, cuSeqlensQo, cuSeqlensKv: cuSeqlensQo, maxSeqlenQo: s, maxSeqlenKv: s },
    ...{ causal: true, out, lse },
  };
  return {
    enqueue: () => api.flashAttnVarlenFunc(call),
    out,
    dispose: () => dispose([q, k, v, cuSeqlensQo, out, lse]),
  };
}

function randomIndices(count, below) {
  const indices = new Int32Array(count);
  let state = 11;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    indices[i] = (state >>> 1) % below;
  }
  return indices;
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
