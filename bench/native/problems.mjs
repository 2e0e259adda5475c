// The problems of bench/native.mjs.
import {
  appendKvCache,
  dequantizeKvCache,
  expertMlp,
  flashMlaWithKvCache,
  getMlaMetadata,
  linear,
  quantizeKvCache,
  rmsNorm,
} from 'flash-mla';

/** Beyond the caches of most machines. */
const coldBytes = 384 * 2 ** 20;

/** Codes of bf16 numbers around 0.01, the same each time. */
function numbers(count) {
  const codes = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    codes[i] = 0x3c00 | ((Math.imul(i, 2654435761) >>> 9) & 0x3ff) | (i & 4 ? 0x8000 : 0);
  }
  return codes;
}

/** Dense decode. */
export function decode({ b, hQ, sK, cold }) {
  const [headDim, page] = [576, 64];
  const pages = b * (sK / page);
  const bytes = pages * page * headDim * 2;
  return {
    name: `dense decode, b=${b} hQ=${hQ} sK=${sK}${cold ? ', cold' : ''}`,
    flops: 2 * b * hQ * sK * (headDim + 512),
    bytes,
    prepare(device) {
      const q = device.tensor(numbers(b * hQ * headDim), [b, 1, hQ, headDim], 'bf16');
      const copies = cold ? Math.ceil(coldBytes / bytes) : 1;
      const rows = numbers(pages * page * headDim);
      const caches = Array.from({ length: copies }, () =>
        device.tensor(rows, [pages, page, 1, headDim], 'bf16'),
      );
      const order = Int32Array.from({ length: pages }, (_, i) => (i * 7 + 3) % pages);
      const blockTable = device.tensor(pages % 7 ? order : order.sort(), [b, pages / b], 'i32');
      const cacheSeqlens = device.tensor(new Int32Array(b).fill(sK), [b], 'i32');
      const [schedMeta] = getMlaMetadata();
      let turn = 0;
      return {
        tensors: [q, ...caches, blockTable, cacheSeqlens],
        run: () => {
          const kCache = caches[turn++ % copies];
          const call = { q, kCache, blockTable, cacheSeqlens, headDimV: 512, schedMeta };
          return Object.values(flashMlaWithKvCache(call));
        },
      };
    },
  };
}

/** Sparse decode of packed rows. */
export function sparseDecode({ b, hQ, topk, layout }) {
  const [headDim, page, sK] = [576, 64, 8192];
  const pages = b * (sK / page);
  return {
    name: `sparse decode ${layout}, b=${b} hQ=${hQ} topk=${topk}`,
    flops: 2 * b * hQ * topk * (headDim + 512),
    bytes: b * topk * 656,
    async prepare(device) {
      const q = device.tensor(numbers(b * hQ * headDim), [b, 1, hQ, headDim], 'bf16');
      const source = device.tensor(
        numbers(pages * page * headDim),
        [pages, page, 1, headDim],
        'bf16',
      );
      const kCache = quantizeKvCache({ kCache: source, layout });
      await device.synchronize();
      source.dispose();
      // Each request's tokens in an order without a pattern, none of them twice.
      const tokens = Int32Array.from(
        { length: b * topk },
        (_, i) => Math.floor(i / topk) * sK + (((i % topk) * 2741 + 17) % sK),
      );
      const indices = device.tensor(tokens, [b, 1, topk], 'i32');
      const [schedMeta] = getMlaMetadata();
      return {
        tensors: [q, kCache, indices],
        run: () =>
          Object.values(flashMlaWithKvCache({ q, kCache, indices, headDimV: 512, schedMeta })),
      };
    },
  };
}

/** A product of rows with weights that lie in no cache. */
export function product({ rows, size }) {
  const bytes = size * size * 2;
  return {
    name: `linear, ${rows} × ${size} × ${size}, cold`,
    flops: 2 * rows * size * size,
    bytes,
    prepare(device) {
      const x = device.tensor(numbers(rows * size), [rows, size], 'bf16');
      const codes = numbers(size * size);
      const weights = Array.from({ length: Math.ceil(coldBytes / bytes) }, () =>
        device.tensor(codes, [size, size], 'bf16'),
      );
      let turn = 0;
      return {
        tensors: [x, ...weights],
        run: () => [linear({ x, weight: weights[turn++ % weights.length] })],
      };
    },
  };
}

/** Codes of e4m3 numbers below 1, the same each time. */
function smallCodes(count) {
  const codes = new Uint8Array(count);
  for (let i = 0; i < count; i++) codes[i] = ((Math.imul(i, 2654435761) >>> 9) & 0x37) | (i & 128);
  return codes;
}

/** Weights of a dtype, with the scales that they need. */
function weightsOn(device, shape, dtype) {
  const count = shape.reduce((a, b) => a * b);
  if (dtype === 'bf16') return { weight: device.tensor(numbers(count), shape, dtype) };
  const blocks = shape.map((n, d) => (d < shape.length - 2 ? n : Math.ceil(n / 128)));
  const scales = new Float32Array(blocks.reduce((a, b) => a * b)).fill(0.01);
  return {
    weight: device.tensor(smallCodes(count), shape, dtype),
    scales: device.tensor(scales, blocks, 'f32'),
  };
}

/** A product of rows of f32 with weights of e4m3 that lie in no cache. */
export function scaledProduct({ rows, size }) {
  const bytes = size * size;
  return {
    name: `linear e4m3, ${rows} × ${size} × ${size}, cold`,
    flops: 2 * rows * size * size,
    bytes,
    prepare(device) {
      const x = device.tensor(new Float32Array(rows * size).fill(0.5), [rows, size], 'f32');
      const copies = Array.from({ length: Math.ceil(coldBytes / bytes) }, () =>
        weightsOn(device, [size, size], 'e4m3'),
      );
      let turn = 0;
      return {
        tensors: [x, ...copies.flatMap(Object.values)],
        run: () => {
          const { weight, scales } = copies[turn++ % copies.length];
          return [linear({ x, weight, weightScales: scales })];
        },
      };
    },
  };
}

/** Experts of DeepSeek-V2-Lite, 24 of its 64: 6 for each row, and those that all rows share. */
export function experts({ rows, dtype }) {
  const [hidden, width, count, chosen, shared] = [2048, 1408, 24, 6, 2];
  const topK = chosen + shared;
  const ids = Int32Array.from({ length: rows * topK }, (_, i) => {
    const [row, k] = [Math.floor(i / topK), i % topK];
    return k < chosen ? (row * 11 + k * 7) % count : count + k - chosen;
  });
  const bytes = new Set(ids).size * 3 * width * hidden * (dtype === 'bf16' ? 2 : 1);
  return {
    name: `expertMlp ${dtype}, ${rows} rows`,
    flops: 6 * rows * topK * hidden * width,
    bytes,
    prepare(device) {
      const x = device.tensor(new Float32Array(rows * hidden).fill(0.5), [rows, hidden], 'f32');
      const gateUp = weightsOn(device, [count + shared, 2 * width, hidden], dtype);
      const down = weightsOn(device, [count + shared, hidden, width], dtype);
      const call = {
        ...{ x, gateUp: gateUp.weight, down: down.weight },
        ...{ gateUpScales: gateUp.scales, downScales: down.scales },
        weights: device.tensor(new Float32Array(rows * topK).fill(1 / topK), [rows, topK], 'f32'),
      };
      // Other experts each time: they come from memory.
      const turns = Array.from({ length: 8 }, (_, turn) =>
        device.tensor(
          ids.map((e) => (e < count ? (e + turn * 8) % count : e)),
          [rows, topK],
          'i32',
        ),
      );
      let turn = 0;
      return {
        tensors: [...Object.values(call), ...turns].filter((tensor) => tensor !== undefined),
        run: () => [expertMlp({ ...call, experts: turns[turn++ % turns.length] })],
      };
    },
  };
}

/** Packing of rows, their way back, and rows that are packed into the tokens of a cache. */
export function packing({ call, layout }) {
  const [pages, page] = [512, 64];
  const headDim = layout === 'v32' ? 576 : 512;
  const rowBytes = layout === 'v32' ? 656 : 584;
  const count = pages * page;
  return {
    name: `${call} ${layout}, ${count} rows`,
    flops: 0,
    bytes: count * (rowBytes + 2 * headDim),
    async prepare(device) {
      const source = device.tensor(numbers(count * headDim), [pages, page, 1, headDim], 'bf16');
      const kCache = quantizeKvCache({ kCache: source, layout });
      const back = device.empty([pages, page, 1, headDim], 'bf16');
      // Tokens in an order without a pattern.
      const order = Int32Array.from({ length: count }, (_, i) => (i * 2741 + 17) % count);
      const slots = device.tensor(order, [count], 'i32');
      const rows = source.reshape([count, headDim]);
      const calls = {
        quantize: () => quantizeKvCache({ kCache: source, layout, out: kCache }),
        dequantize: () => dequantizeKvCache({ kCache, layout, out: back }),
        append: () => appendKvCache({ rows, kCache, slots, layout }),
      };
      return {
        tensors: [source, kCache, back, slots],
        run: () => {
          calls[call]();
          return [];
        },
      };
    },
  };
}

/** RMSNorm of rows with a residual. */
export function norm({ rows, columns, dtype }) {
  const size = dtype === 'bf16' ? 2 : 4;
  return {
    name: `rmsNorm ${dtype}, ${rows} × ${columns}, residual`,
    flops: 0,
    bytes: 4 * rows * columns * size,
    prepare(device) {
      const make = (shape) => {
        const count = shape.reduce((a, b) => a * b);
        const values = dtype === 'bf16' ? numbers(count) : new Float32Array(count).fill(0.5);
        return device.tensor(values, shape, dtype);
      };
      const [x, residual, out] = [1, 2, 3].map(() => make([rows, columns]));
      const weight = make([columns]);
      return {
        tensors: [x, residual, out, weight],
        run: () => {
          rmsNorm({ x, residual, weight, eps: 1e-5, out });
          return [];
        },
      };
    },
  };
}
