import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  appendKvCache,
  type Device,
  dequantizeKvCache,
  flashMlaWithKvCache,
  getMlaMetadata,
  openDevice,
  quantizeKvCache,
  type Tensor,
} from '../../index.ts';
import { packedRows } from '../../runtime/tensor/packed-rows.ts';
import { useSwiftShader } from '../../runtime/webgpu/testing/swiftshader.ts';
import { appendKvCache as appendReference, hostTensor } from '../reference.ts';

const absent = useSwiftShader();
const devices = ['cpu', 'sim', ...(absent ? [] : ['webgpu' as const])] as const;
const why = absent ? ` (webgpu is left out: ${absent})` : '';

/** bf16 codes of finite values, the same for the same seed. */
function codes(count: number, seed = 1): Uint16Array<ArrayBuffer> {
  let state = seed;
  return Uint16Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 16) & 0xbfff;
  });
}

const layouts = ['v32', 'model1', 'bf16'] as const;
type Layout = (typeof layouts)[number];

function widths(layout: Layout) {
  const packed = layout === 'bf16' ? undefined : packedRows[layout];
  return { columns: packed?.headDimQk ?? 40, width: packed?.rowBytes ?? 40 };
}

describe.each(devices)(`appendKvCache on %s${why}`, (spec) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice(spec);
  });
  afterAll(() => device.dispose());

  it.each(layouts)('%s: touches no byte but those of the tokens', async (layout) => {
    const { columns, width } = widths(layout);
    const [blocks, page, n] = [3, 4, 9];
    const size = layout === 'bf16' ? 2 : 1;
    // Padding between tokens (not of model1, which has none) and between blocks, and room around.
    const token = layout === 'model1' ? width : width + 16;
    const block = page * token + 48;
    const begin = 32;
    const memory = new Uint8Array((2 * begin + blocks * block) * size).fill(0xa5);
    const dtype = layout === 'bf16' ? 'bf16' : 'u8';
    const flat = device.tensor(
      dtype === 'u8' ? memory : new Uint16Array(memory.buffer),
      [memory.length / size],
      dtype,
    ) as Tensor<'bf16'>;
    const kCache = flat.asStrided([blocks, page, 1, width], [block, token, token, 1], begin);
    // Rows that lie in a wider matrix, from its third column on.
    const wide = codes(n * (columns + 5));
    const rows = device.tensor(wide, [n, columns + 5], 'bf16').slice(1, 3, 3 + columns);
    const slots = [11, -1, 12, 3, 0, 2 ** 31 - 1, 7, -(2 ** 31), 4];
    const place = device.tensor(slots, [n], 'i32');
    expect(appendKvCache({ kCache, rows, slots: place })).toBe(kCache);

    const actual = new Uint8Array((await flat.read()).buffer);
    const own = Uint16Array.from({ length: n * columns }, (_, i) => {
      return wide[Math.floor(i / columns) * (columns + 5) + 3 + (i % columns)] as number;
    });
    const before = new Uint8Array(blocks * page * width * size).fill(0xa5);
    const expected = appendReference({
      layout: layout === 'bf16' ? 'plain' : layout,
      kCache: hostTensor(
        dtype,
        [blocks, page, 1, width],
        dtype === 'u8' ? before : new Uint16Array(before.buffer),
      ),
      rows: hostTensor('bf16', [n, 1, columns], own),
      slots: hostTensor('i32', [n], Int32Array.from(slots)),
    });
    const wanted = new Uint8Array(memory);
    const bytes = new Uint8Array(expected.data.buffer);
    for (let b = 0; b < blocks; b++) {
      const at = (begin + b * block) * size;
      for (let i = 0; i < page * width * size; i++) {
        const inBlock = Math.floor(i / (width * size)) * token * size + (i % (width * size));
        wanted[at + inBlock] = bytes[b * page * width * size + i] as number;
      }
    }
    expect(Buffer.compare(actual, wanted)).toBe(0);
  });

  it.each(['v32', 'model1'] as const)(
    '%s: token by token, a cache becomes what quantizing it at once makes of it',
    async (layout) => {
      const { columns } = widths(layout);
      const rows = device.tensor(codes(6 * columns, 7), [2, 3, 1, columns], 'bf16');
      const whole = quantizeKvCache({ kCache: rows, layout });
      const kCache = quantizeKvCache({
        kCache: device.tensor(new Uint16Array(6 * columns), [2, 3, 1, columns], 'bf16'),
        layout,
      });
      for (const slot of [4, 0, 5, 2, 1, 3]) {
        const row = rows.reshape([6, columns]).slice(0, slot, slot + 1);
        appendKvCache({ kCache, rows: row, slots: device.tensor([slot], [1], 'i32'), layout });
      }
      expect(Buffer.compare(await kCache.read(), await whole.read())).toBe(0);
      const back = await dequantizeKvCache({ kCache, layout }).read();
      expect(back).toEqual(await dequantizeKvCache({ kCache: whole, layout }).read());
    },
  );

  it('replays with other rows and other slots', async () => {
    const kCache = device.tensor(new Uint16Array(8 * 16), [2, 4, 1, 16], 'bf16');
    const rows = device.tensor(new Uint16Array(32).fill(1), [2, 16], 'bf16');
    const slots = device.tensor([0, 1], [2], 'i32');
    const graph = device.capture(() => {
      appendKvCache({ kCache, rows, slots });
    });
    expect((await kCache.read()).every((code) => code === 0)).toBe(true);
    for (const [value, ...places] of [
      [5, 6, -1],
      [7, 2, 3],
    ] as const) {
      rows.write(new Uint16Array(32).fill(value));
      slots.write(Int32Array.from(places));
      graph.replay();
    }
    const firsts = (await kCache.read()).filter((_, i) => i % 16 === 0);
    expect([...firsts]).toEqual([0, 0, 7, 7, 0, 0, 5, 0]);
    graph.dispose();
  });

  it('copies tokens of a cache to other tokens of it', async () => {
    const data = codes(8 * 24, 3);
    const kCache = device.tensor(data, [2, 4, 1, 24], 'bf16');
    const tokens = kCache.reshape([8, 1, 24]);
    appendKvCache({
      kCache,
      rows: tokens.slice(0, 0, 3),
      slots: device.tensor([5, 7, 4], [3], 'i32'),
    });
    const after = await kCache.read();
    const token = (from: Uint16Array, i: number) => [...from.subarray(i * 24, (i + 1) * 24)];
    const sources = [0, 1, 2, 3, 2, 0, 6, 1];
    sources.forEach((from, to) => {
      expect(token(after, to)).toEqual(token(data, from));
    });
  });

  it('leaves a row, or parts of rows, where a slot occurs twice', async () => {
    const kCache = device.tensor(new Uint16Array(4 * 64), [1, 4, 1, 64], 'bf16');
    const rows = device.tensor(
      Uint16Array.from({ length: 5 * 64 }, (_, i) => 1 + i / 64),
      [5, 64],
      'bf16',
    );
    appendKvCache({ kCache, rows, slots: device.tensor([2, 2, 0, 2, 2], [5], 'i32') });
    const after = await kCache.read();
    expect([...new Set(after.subarray(0, 64))]).toEqual([3]);
    expect([...after.subarray(128, 192)].every((code) => [1, 2, 4, 5].includes(code))).toBe(true);
    expect([...after.subarray(64, 128), ...after.subarray(192)].some((code) => code > 0)).toBe(
      false,
    );
  });

  it('does nothing for no rows', async () => {
    const kCache = device.tensor(codes(64), [1, 4, 1, 16], 'bf16');
    const [rows, slots] = [device.empty([0, 16], 'bf16'), device.empty([0], 'i32')];
    expect(appendKvCache({ kCache, rows, slots })).toBe(kCache);
    expect(await kCache.read()).toEqual(codes(64));
  });

  it('comes before the decode that is enqueued after it', async () => {
    const kCache = device.tensor(new Uint16Array(2 * 4 * 576), [2, 4, 1, 576], 'bf16');
    const ones = (count: number) => new Uint16Array(count).fill(0x3f80);
    const rows = device.tensor(ones(3 * 576), [3, 576], 'bf16');
    appendKvCache({ kCache, rows, slots: device.tensor([4, 5, 6], [3], 'i64') });
    const [schedMeta] = getMlaMetadata();
    const { out } = flashMlaWithKvCache({
      q: device.tensor(ones(576), [1, 1, 1, 576], 'bf16'),
      kCache,
      blockTable: device.tensor([1], [1, 1], 'i32'),
      cacheSeqlens: device.tensor([3], [1], 'i32'),
      headDimV: 512,
      schedMeta,
    });
    expect(new Set(await out.readFloat32())).toEqual(new Set([1]));
  });
});
