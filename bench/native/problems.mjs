// The problems of bench/native.mjs.
import { flashMlaWithKvCache, getMlaMetadata, linear, quantizeKvCache } from 'flash-mla';

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
