import type { Decoder, ModelConfig } from '@flash-mla/models';
import { normals, uniform } from '../../ops/bench/random.ts';
import { storeIndexKeys } from '../../ops/indexer/index.ts';
import { appendKvCache } from '../../ops/kv-cache/index.ts';
import type { Device } from '../../runtime/device/device.ts';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { pagedCache } from '../cache-rows.ts';
import type { DeviceMatrix } from '../device-operations.ts';

/** Dimensions of an index key. */
const indexDim = 128;
/** Rows that are drawn and written at once. */
const chunkRows = 4096;

/** Where a sequence of so many tokens is written. */
export interface TemplateTarget {
  readonly device: Device;
  readonly decoder: Decoder<DeviceMatrix>;
  readonly pageSize: number;
  readonly tokens: number;
}

/** Writes random K/V of a sequence into some pages of a layer's cache, which need not be neighbours. */
export function writeRows(
  { device, pageSize, tokens }: TemplateTarget,
  cache: DeviceMatrix,
  pages: readonly number[],
  { attention }: ModelConfig,
): void {
  const columns = attention.kvLoraRank + attention.ropeDim;
  const values = normals(chunkRows * columns, uniform(tokens));
  using rows = device.tensor(values, [chunkRows, columns], 'bf16');
  const kCache = pagedCache(cache, pageSize) as Tensor<'bf16'>;
  eachChunk(tokens, pageSize, pages, (slots) => {
    using places = device.tensor(slots, [slots.length], 'i32');
    appendKvCache({ kCache, rows: rows.slice(0, 0, slots.length), slots: places });
  });
}

/** Writes random index keys of a sequence, as a model would: normed, rotated, quantised. */
export function writeIndexKeys(
  { device, decoder, pageSize, tokens }: TemplateTarget,
  indexCache: Tensor<'u8'>,
  pages: readonly number[],
  { indexer }: ModelConfig,
): void {
  using k = device.tensor(
    normals(chunkRows * indexDim, uniform(tokens + 1)),
    [chunkRows, indexDim],
    'f32',
  );
  const ones = (value: number) =>
    device.tensor(new Float32Array(indexDim).fill(value), [indexDim], 'f32');
  using normWeight = ones(1);
  using normBias = ones(0);
  eachChunk(tokens, pageSize, pages, (slots, first) => {
    const positions = Int32Array.from(slots, (_, i) => first + i);
    const { cos, sin, pairs } = decoder.rotation(positions);
    using cosines = device.tensor(cos, [slots.length, pairs], 'f32');
    using sines = device.tensor(sin, [slots.length, pairs], 'f32');
    using places = device.tensor(slots, [slots.length], 'i32');
    using angles = device.tensor(
      Int32Array.from(slots, (_, i) => i),
      [slots.length],
      'i32',
    );
    storeIndexKeys({
      ...{ k: k.slice(0, 0, slots.length), normWeight, normBias, indexCache, slots: places },
      ...{ cos: cosines, sin: sines, positions: angles },
      pairs: indexer?.pairing === 'halves' ? 'half' : 'interleaved',
    });
  });
}

function eachChunk(
  tokens: number,
  pageSize: number,
  pages: readonly number[],
  write: (slots: Int32Array, first: number) => void,
): void {
  for (let first = 0; first < tokens; first += chunkRows) {
    const slots = Int32Array.from({ length: Math.min(chunkRows, tokens - first) }, (_, i) => {
      const page = pages[Math.floor((first + i) / pageSize)] ?? -1;
      return page < 0 ? -1 : page * pageSize + ((first + i) % pageSize);
    });
    write(slots, first);
  }
}
