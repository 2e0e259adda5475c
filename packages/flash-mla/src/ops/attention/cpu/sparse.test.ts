import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flashMlaSparseFwd, flashMlaWithKvCache, getMlaMetadata } from '../../../index.ts';
import type { Device } from '../../../runtime/device/device.ts';
import type { KvRowLayout } from '../../kernel-lib/row-layout.ts';
import {
  type HostTensor,
  hostTensor,
  quantizeKvCache,
  type SparseCacheProblem,
  sparseDecode,
  sparsePrefill,
} from '../../reference.ts';
import {
  errorBound,
  excessOf,
  intTensor,
  openCpu,
  randomInt,
  randomSource,
  randomTensor,
  upload,
} from './testing/problems.ts';

let device: Device;

beforeAll(async () => {
  device = await openCpu();
});
afterAll(() => device.dispose());

const invalid = [-1, -2147483648, 2147483647];

interface CacheShape {
  readonly blocks: number;
  readonly page: number;
  readonly topk: number;
  readonly lengths?: readonly number[];
}

/** A cache whose rows that no index names are NaN; a fifth of the indices is invalid. */
function sparseCache(
  random: () => number,
  layout: KvRowLayout,
  { blocks, page, topk, lengths }: CacheShape,
  b: number,
  sQ: number,
  dQk: number,
): SparseCacheProblem {
  const rows = blocks * page;
  const indices = Array.from({ length: b * sQ * topk }, () =>
    random() < 0.2
      ? ([...invalid, rows][randomInt(random, 0, 3)] as number)
      : randomInt(random, 0, rows - 1),
  );
  const source = randomTensor(random, [blocks, page, 1, dQk], 'bf16');
  const named = new Set<number>();
  indices.forEach((index, i) => {
    const request = Math.floor(i / (sQ * topk));
    if (i % topk < (lengths?.[request] ?? topk)) named.add(index);
  });
  for (let row = 0; row < rows; row++) {
    if (!named.has(row)) source.data.fill(0x7fc0, row * dQk, (row + 1) * dQk);
  }
  return {
    kCache: layout === 'bf16' ? source : quantizeKvCache(source, layout),
    indices: intTensor(indices, [b, sQ, topk]),
    topkLength: lengths && intTensor(lengths),
  };
}

interface DecodeShape {
  readonly layout: KvRowLayout;
  readonly b: number;
  readonly sQ: number;
  readonly hQ: number;
  readonly main: CacheShape;
  readonly extra?: CacheShape;
  readonly sink?: readonly number[];
  readonly dQk?: number;
  readonly deterministic?: boolean;
}

async function checkDecode(shape: DecodeShape, seed: number) {
  const random = randomSource(seed);
  const { layout, b, sQ, hQ, sink } = shape;
  const dQk = shape.dQk ?? (layout === 'model1' ? 512 : 576);
  const q = randomTensor(random, [b, sQ, hQ, dQk], 'bf16', 0.3);
  const main = sparseCache(random, layout, shape.main, b, sQ, dQk);
  const extra = shape.extra && sparseCache(random, layout, shape.extra, b, sQ, dQk);
  const attnSink =
    sink &&
    hostTensor(
      'f32',
      [hQ],
      Float32Array.from({ length: hQ }, (_, i) => sink[i % sink.length] as number),
    );
  const expected = sparseDecode({ q, layout, ...main, extra, attnSink, headDimV: 512 });
  const maybe = (tensor: HostTensor | undefined) => tensor && upload(device, tensor);
  const [schedMeta] = getMlaMetadata();
  const { out, lse } = flashMlaWithKvCache({
    q: upload(device, q),
    kCache: upload(device, main.kCache),
    indices: upload(device, main.indices),
    topkLength: maybe(main.topkLength),
    extraKCache: maybe(extra?.kCache),
    extraIndicesInKvCache: maybe(extra?.indices),
    extraTopkLength: maybe(extra?.topkLength),
    attnSink: maybe(attnSink),
    headDimV: 512,
    schedMeta,
    deterministic: shape.deterministic,
  } as never);
  const label = JSON.stringify(shape);
  expect(await excessOf(lse, expected.lse), `lse of ${label}`).toBeLessThan(2e-6);
  expect(await excessOf(out, expected.out), `out of ${label}`).toBeLessThan(errorBound(device));
}

describe('sparse decode against the float64 reference', () => {
  const layouts: KvRowLayout[] = ['v32', 'model1', 'bf16'];

  it.each(layouts)('%s rows, one cache', async (layout) => {
    const main = { blocks: 5, page: 17, topk: 130 };
    await checkDecode({ layout, b: 2, sQ: 2, hQ: 8, main }, 1);
    await checkDecode({ layout, b: 1, sQ: 1, hQ: 64, main: { ...main, page: 64 } }, 2);
  });

  it.each(layouts)('%s rows, two caches, both lengths, a sink', async (layout) => {
    const main = { blocks: 4, page: 2, topk: 70, lengths: [0, 70, 33] };
    const extra = { blocks: 3, page: 61, topk: 128, lengths: [128, 5, 0] };
    const sink = [0.5, -2, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    await checkDecode({ layout, b: 3, sQ: 1, hQ: 16, main, extra, sink }, 3);
    await checkDecode({ layout, b: 3, sQ: 2, hQ: 5, main, extra, sink, deterministic: true }, 4);
  });

  it('bf16 rows of 512 columns', async () => {
    const main = { blocks: 3, page: 64, topk: 64 };
    await checkDecode({ layout: 'bf16', b: 2, sQ: 1, hQ: 4, main, dQk: 512 }, 5);
  });

  it('many entries, in several splits', async () => {
    const main = { blocks: 20, page: 64, topk: 2048 };
    await checkDecode({ layout: 'v32', b: 1, sQ: 1, hQ: 4, main }, 6);
    await checkDecode({ layout: 'v32', b: 1, sQ: 1, hQ: 4, main, deterministic: true }, 6);
  });

  it('gives 0 and +inf to rows that attend to nothing', async () => {
    const q = randomTensor(randomSource(8), [1, 1, 3, 576], 'bf16');
    const [schedMeta] = getMlaMetadata();
    const { out, lse } = flashMlaWithKvCache({
      q: upload(device, q),
      kCache: upload(
        device,
        hostTensor('bf16', [1, 2, 1, 576], new Uint16Array(1152).fill(0x7fc0)),
      ),
      indices: device.tensor([-1, 2, 2147483647, -2147483648], [1, 1, 4], 'i32'),
      attnSink: device.tensor([1, Number.POSITIVE_INFINITY, 0], [3], 'f32'),
      headDimV: 512,
      schedMeta,
    });
    expect(await out.read()).toEqual(new Uint16Array(3 * 512));
    expect(await lse.read()).toEqual(new Float32Array(3).fill(Number.POSITIVE_INFINITY));
  });
});

describe('sparse prefill against the float64 reference', () => {
  it.each([
    { sQ: 3, hQ: 64, hKv: 1, sKv: 150, topk: 128, dQk: 576 },
    { sQ: 5, hQ: 6, hKv: 2, sKv: 40, topk: 70, dQk: 512 },
    { sQ: 2, hQ: 130, hKv: 1, sKv: 90, topk: 65, dQk: 576 },
  ])('%o', async ({ sQ, hQ, hKv, sKv, topk, dQk }) => {
    const random = randomSource(sQ);
    const q = randomTensor(random, [sQ, hQ, dQk], 'bf16', 0.3);
    const kv = randomTensor(random, [sKv, hKv, dQk], 'bf16');
    // The last key is never named and NaN; the last query names nothing.
    kv.data.fill(0x7fc0, (sKv - 1) * hKv * dQk);
    const indices = intTensor(
      Array.from({ length: sQ * hKv * topk }, (_, i) =>
        random() < 0.2 || i >= (sQ - 1) * hKv * topk
          ? ([...invalid, sKv][randomInt(random, 0, 3)] as number)
          : randomInt(random, 0, sKv - 2),
      ),
      [sQ, hKv, topk],
    );
    const topkLength = intTensor(Array.from({ length: sQ }, () => randomInt(random, -2, topk + 9)));
    const attnSink = randomTensor(random, [hQ], 'f32');
    const expected = sparsePrefill({ q, kv, indices, smScale: 0.1, dV: 512, attnSink, topkLength });
    const actual = flashMlaSparseFwd({
      q: upload(device, q),
      kv: upload(device, kv),
      indices: upload(device, indices),
      topkLength: upload(device, topkLength),
      attnSink: upload(device, attnSink),
      smScale: 0.1,
      dV: 512,
    });
    expect(await excessOf(actual.lse, expected.lse)).toBeLessThan(2e-6);
    expect(await excessOf(actual.maxLogits, expected.maxLogits)).toBeLessThan(2e-6);
    expect(await excessOf(actual.out, expected.out)).toBeLessThan(2e-6);
  });
});
