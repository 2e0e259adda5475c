import { DisposedError, type DType } from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { DenseDecodeArgs, SparseDecodeArgs } from '../contract.ts';
import { flashMlaWithKvCache } from './flash-mla-with-kv-cache.ts';
import { getMlaMetadata } from './get-mla-metadata.ts';
import { type RecordingBackend, recordingDevice } from './testing/recording-backend.ts';
import { expectRefusal as expectRefusalOf } from './testing/refusal.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

const [b, sQ, hQ, hK, page] = [2, 3, 8, 2, 5];

/** A right dense call; `changes` make it wrong. */
function dense(changes: Record<string, unknown> = {}, dtype: 'bf16' | 'f16' | 'e4m3' = 'bf16') {
  return {
    q: device.empty([b, sQ, hQ, 576], dtype),
    kCache: device.empty([7, page, hK, 576], dtype),
    blockTable: device.empty([b, 4], 'i32'),
    cacheSeqlens: device.empty([b], 'i32'),
    headDimV: 512,
    schedMeta: getMlaMetadata()[0],
    ...changes,
  };
}

/** A right sparse call on `v32` rows with everything that may be given. */
function sparse(changes: Record<string, unknown> = {}) {
  return {
    q: device.empty([b, sQ, hQ, 576], 'bf16'),
    kCache: device.empty([7, page, 1, 656], 'u8'),
    indices: device.empty([b, sQ, 64], 'i32'),
    topkLength: device.empty([b], 'i32'),
    extraKCache: device.empty([4, 2, 1, 656], 'u8'),
    extraIndicesInKvCache: device.empty([b, sQ, 128], 'i32'),
    extraTopkLength: device.empty([b], 'i32'),
    attnSink: device.empty([hQ], 'f32'),
    headDimV: 512,
    schedMeta: getMlaMetadata()[0],
    ...changes,
  };
}

function expectRefusal(call: Record<string, unknown>, argument: string, message?: RegExp): void {
  expectRefusalOf(backend, () => flashMlaWithKvCache(call as never), argument, message);
}

describe('a dense call', () => {
  it.each(['bf16', 'f16', 'e4m3'] as const)('hands %s to the backend as it is', (dtype) => {
    const call = dense({ causal: true }, dtype);
    const { out, lse } = flashMlaWithKvCache(call as never);
    expect([out.shape, lse.shape]).toEqual([
      [b, sQ, hQ, 512],
      [b, hQ, sQ],
    ]);
    expect([out.dtype, lse.dtype]).toEqual([dtype === 'e4m3' ? 'bf16' : dtype, 'f32']);
    expect(backend.calls.map(({ operation }) => operation)).toEqual([
      'computeSchedule',
      'denseDecode',
    ]);
    const args = backend.calls[1]?.args as DenseDecodeArgs;
    expect(args).toMatchObject({ headDimV: 512, causal: true, softmaxScale: 1 / 24 });
    expect(args.q).toBe(call.q);
    expect(args.kCache).toBe(call.kCache);
    expect(args.blockTable).toBe(call.blockTable);
    expect(args.seqlens).toBe(call.cacheSeqlens);
    expect(args.out).toBe(out);
    expect(args.schedule.metadata.shape).toEqual([3, 8]);
    expect(args.schedule.numSplits.shape).toEqual([b + 1]);
    expect(backend.calls[0]?.args).toMatchObject({
      problem: {
        kind: 'dense',
        batch: b,
        seqLenQ: sQ,
        numHeadsQ: hQ,
        numHeadsKv: hK,
        headDimQk: 576,
        headDimV: 512,
        isFp8: dtype === 'e4m3',
        maxSeqLenK: 4 * page,
        deterministic: false,
      },
    });
  });

  it('takes null for what may be left out', () => {
    const none = { numSplits: null, indices: null, attnSink: null, softmaxScale: null, out: null };
    flashMlaWithKvCache(dense({ ...none, lse: null, descaleQ: null, isFp8KvCache: null }) as never);
    expect(backend.calls).toHaveLength(2);
  });

  it('passes descales of e4m3', () => {
    const scales = { descaleQ: device.empty([1], 'f32'), descaleK: device.empty([1], 'f32') };
    flashMlaWithKvCache(dense(scales, 'e4m3') as never);
    expect(backend.calls[1]?.args).toMatchObject(scales);
    expectRefusal(dense(scales), 'descaleQ', /Only e4m3/);
    expectRefusal(dense({ descaleK: device.empty([2], 'f32') }, 'e4m3'), 'descaleK');
  });

  it('takes strided queries and caches whose rows are contiguous', () => {
    const q = device.empty([b, sQ, hQ, 600], 'bf16').slice(3, 8, 584);
    const kCache = device.emptyStrided([7, page, hK, 576], [9999, 1200, 576, 1], 'bf16');
    flashMlaWithKvCache(dense({ q, kCache }) as never);
    expect(backend.calls).toHaveLength(2);
    const turned = device.emptyStrided([b, sQ, hQ, 576], [8 * 3 * 576, 1, 3, 24], 'bf16');
    expectRefusal(dense({ q: turned }), 'q', /contiguous/);
    const cache = device.emptyStrided([7, page, hK, 576], [9999, 1152, 1, 2], 'bf16');
    expectRefusal(dense({ kCache: cache }), 'kCache', /contiguous/);
  });

  it('writes to the outputs that it is given', () => {
    const out = device.empty([b, sQ, hQ, 512], 'bf16');
    const lse = device.empty([b, hQ, sQ], 'f32');
    const result = flashMlaWithKvCache(dense({ out, lse }) as never);
    expect(result).toEqual({ out, lse });
    expectRefusal(dense({ out: device.empty([b, sQ, hQ, 511], 'bf16') }), 'out');
    expectRefusal(dense({ out: device.empty([b, sQ, hQ, 512], 'f16') }), 'out');
    expectRefusal(dense({ lse: device.empty([b, sQ, hQ], 'f32') }), 'lse');
    const strided = device.empty([b, sQ, hQ, 513], 'bf16').slice(3, 0, 512);
    expectRefusal(dense({ out: strided }), 'out', /contiguous/);
    const shape = [b, sQ, hQ, 512];
    const strides = [sQ * hQ * 512, hQ * 512, 512, 1];
    const memory = device.empty([b * sQ * hQ * 512 + 8], 'bf16');
    flashMlaWithKvCache(dense({ out: memory.asStrided(shape, strides, 8) }) as never);
    const odd = memory.asStrided(shape, strides, 3);
    expectRefusal(dense({ out: odd }), 'out', /a multiple of 16 bytes.* byte 6/);
  });

  const bad: [string, string, (make: Device) => Record<string, unknown>][] = [
    ['an unknown name', 'cacheSeqLens', () => ({ cacheSeqLens: 1 })],
    ['no q', 'q', () => ({ q: undefined })],
    ['q of another rank', 'q', (d) => ({ q: d.empty([b, hQ, 576], 'bf16') })],
    ['q of an integer dtype', 'q', (d) => ({ q: d.empty([b, sQ, hQ, 576], 'i32') })],
    ['an empty q', 'q.shape[0]', (d) => ({ q: d.empty([0, sQ, hQ, 576], 'bf16') })],
    ['a plain array as q', 'q', () => ({ q: [1, 2] })],
    ['no kCache', 'kCache', () => ({ kCache: null })],
    ['kCache of another dtype', 'kCache', (d) => ({ kCache: d.empty([7, 5, 2, 576], 'f16') })],
    [
      'kCache of another width',
      'kCache.shape[3]',
      (d) => ({ kCache: d.empty([7, 5, 2, 512], 'bf16') }),
    ],
    [
      'heads that do not divide',
      'kCache.shape[2]',
      (d) => ({ kCache: d.empty([7, 5, 3, 576], 'bf16') }),
    ],
    ['no blockTable', 'blockTable', () => ({ blockTable: undefined })],
    [
      'blockTable of another batch',
      'blockTable.shape[0]',
      (d) => ({ blockTable: d.empty([3, 4], 'i32') }),
    ],
    ['blockTable of floats', 'blockTable', (d) => ({ blockTable: d.empty([b, 4], 'f32') })],
    [
      'blockTable of columns',
      'blockTable',
      (d) => ({ blockTable: d.emptyStrided([b, 4], [1, 2], 'i32') }),
    ],
    ['no cacheSeqlens', 'cacheSeqlens', () => ({ cacheSeqlens: undefined })],
    ['cacheSeqlens of i64', 'cacheSeqlens', (d) => ({ cacheSeqlens: d.empty([b], 'i64') })],
    [
      'cacheSeqlens of another batch',
      'cacheSeqlens',
      (d) => ({ cacheSeqlens: d.empty([1], 'i32') }),
    ],
    [
      'strided cacheSeqlens',
      'cacheSeqlens',
      (d) => ({ cacheSeqlens: d.emptyStrided([b], [2], 'i32') }),
    ],
    ['no headDimV', 'headDimV', () => ({ headDimV: undefined })],
    ['a headDimV beyond dQk', 'headDimV', () => ({ headDimV: 577 })],
    ['an uneven headDimV', 'headDimV', () => ({ headDimV: 511 })],
    ['a headDimV in text', 'headDimV', () => ({ headDimV: '512' })],
    ['a scale of NaN', 'softmaxScale', () => ({ softmaxScale: Number.NaN })],
    ['a scale of 0', 'softmaxScale', () => ({ softmaxScale: 0 })],
    ['a scale that float32 takes for 0', 'softmaxScale', () => ({ softmaxScale: 1e-320 })],
    ['a scale that some devices take for 0', 'softmaxScale', () => ({ softmaxScale: 1e-40 })],
    ['a scale beyond float32', 'softmaxScale', () => ({ softmaxScale: 1e39 })],
    ['an infinite scale', 'softmaxScale', () => ({ softmaxScale: Number.POSITIVE_INFINITY })],
    ['causal as a number', 'causal', () => ({ causal: 1 })],
    ['deterministic in text', 'deterministic', () => ({ deterministic: 'yes' })],
    ['isFp8KvCache on bf16', 'isFp8KvCache', () => ({ isFp8KvCache: true })],
    ['a sink', 'attnSink', (d) => ({ attnSink: d.empty([hQ], 'f32') })],
    ['a top-k length', 'topkLength', (d) => ({ topkLength: d.empty([b], 'i32') })],
    ['an extra cache', 'extraKCache', (d) => ({ extraKCache: d.empty([1, 1, 1, 576], 'bf16') })],
    [
      'extra indices',
      'extraIndicesInKvCache',
      (d) => ({ extraIndicesInKvCache: d.empty([1], 'i32') }),
    ],
    ['an extra length', 'extraTopkLength', (d) => ({ extraTopkLength: d.empty([b], 'i32') })],
    ['no metadata', 'schedMeta', () => ({ schedMeta: undefined })],
    ['another tensor as metadata', 'schedMeta', (d) => ({ schedMeta: d.empty([3, 8], 'i32') })],
    ['numSplits beside the object', 'numSplits', (d) => ({ numSplits: d.empty([b + 1], 'i32') })],
  ];
  it.each(bad)('with %s is refused, naming %s', (_, argument, changes) => {
    expectRefusal(dense(changes(device)), argument);
  });

  it('refuses anything that is not an object', () => {
    for (const options of [undefined, null, 1, 'q', Symbol('q')]) {
      expectRefusal(options as never, 'options');
    }
  });

  it('refuses tensors of another device and disposed ones', () => {
    const other = recordingDevice('cuda:1').device;
    expectRefusal(dense({ kCache: other.empty([7, page, hK, 576], 'bf16') }), 'kCache', /'cuda:1'/);
    const call = dense();
    call.blockTable.dispose();
    expect(() => flashMlaWithKvCache(call as never)).toThrow(DisposedError);
    expect(() => flashMlaWithKvCache(call as never)).toThrow(/^blockTable/);
  });
});

describe('a sparse call', () => {
  it('hands both caches to the backend', () => {
    const call = sparse();
    const { out, lse } = flashMlaWithKvCache(call as never);
    expect([out.shape, out.dtype, lse.shape]).toEqual([[b, sQ, hQ, 512], 'bf16', [b, hQ, sQ]]);
    const args = backend.calls[1]?.args as SparseDecodeArgs;
    expect(args.layout).toBe('v32');
    expect(args.main.kCache).toBe(call.kCache);
    expect(args.main.topkLength).toBe(call.topkLength);
    expect(args.extra?.kCache).toBe(call.extraKCache);
    expect(args.extra?.indices).toBe(call.extraIndicesInKvCache);
    expect(args.extra?.topkLength).toBe(call.extraTopkLength);
    expect(args.attnSink).toBe(call.attnSink);
    expect(backend.calls[0]?.args).toMatchObject({
      problem: { kind: 'sparse', topk: 64, extraTopk: 128, isFp8: true, numHeadsKv: 1 },
      topkLength: call.topkLength,
      extraTopkLength: call.extraTopkLength,
    });
  });

  const noExtra = {
    extraKCache: null,
    extraIndicesInKvCache: null,
    extraTopkLength: null,
  };

  it.each([
    ['v32', 576, 656, 'u8'],
    ['model1', 512, 584, 'u8'],
    ['bf16', 576, 576, 'bf16'],
    ['bf16', 512, 512, 'bf16'],
  ] as [string, number, number, DType][])(
    'recognises %s rows of q %i',
    (layout, d, width, dtype) => {
      const q = device.empty([b, sQ, hQ, d], 'bf16');
      const kCache = device.empty([7, page, 1, width], dtype);
      flashMlaWithKvCache(sparse({ ...noExtra, q, kCache, isFp8KvCache: dtype === 'u8' }) as never);
      expect(backend.calls[1]?.args).toMatchObject({ layout, extra: undefined });
      expectRefusal(
        sparse({ ...noExtra, q, kCache, isFp8KvCache: dtype !== 'u8' }),
        'isFp8KvCache',
      );
    },
  );

  it('takes model1 blocks padded or not, and no overlapping ones', () => {
    const q = device.empty([b, sQ, hQ, 512], 'bf16');
    const strides = (block: number, row = 584) => [block, row, row, 1];
    const cache = (blockStride: number, row?: number) => ({
      ...noExtra,
      q,
      kCache: device
        .empty([7 * 4000], 'u8')
        .asStrided([7, page, 1, 584], strides(blockStride, row)),
    });
    flashMlaWithKvCache(sparse(cache(2920)) as never);
    flashMlaWithKvCache(sparse(cache(3456)) as never);
    expectRefusal(sparse(cache(2912)), 'kCache.strides', /blocks of at least 2920/);
    expectRefusal(sparse(cache(2924)), 'kCache.strides', /multiples of 8/);
    expectRefusal(sparse(cache(3456, 592)), 'kCache.strides');
  });

  it('takes v32 rows with gaps at multiples of 16 bytes', () => {
    const cache = (block: number, row: number, offset = 0) => ({
      kCache: device
        .empty([7 * 5000], 'u8')
        .asStrided([7, page, 1, 656], [block, row, row, 1], offset),
    });
    flashMlaWithKvCache(sparse(cache(4000, 672)) as never);
    expectRefusal(sparse(cache(4000, 660)), 'kCache.strides');
    expectRefusal(sparse(cache(3200, 656)), 'kCache.strides');
    expectRefusal(sparse(cache(3280, 640)), 'kCache.strides');
    expectRefusal(sparse(cache(3280, 656, 8)), 'kCache.strides', /at byte 8/);
  });

  const bad: [string, string, (make: Device) => Record<string, unknown>][] = [
    ['f16 queries', 'q', (d) => ({ q: d.empty([b, sQ, hQ, 576], 'f16') })],
    ['queries of another width', 'q.shape[3]', (d) => ({ q: d.empty([b, sQ, hQ, 512], 'bf16') })],
    ['an odd query width', 'q.shape[3]', (d) => ({ q: d.empty([b, sQ, hQ, 592], 'bf16') })],
    ['headDimV 256', 'headDimV', () => ({ headDimV: 256 })],
    ['f16 rows', 'kCache', (d) => ({ kCache: d.empty([7, page, 1, 576], 'f16') })],
    ['rows of 655 bytes', 'kCache.shape[3]', (d) => ({ kCache: d.empty([7, page, 1, 655], 'u8') })],
    ['model1 rows', 'q.shape[3]', (d) => ({ kCache: d.empty([7, page, 1, 584], 'u8') })],
    ['two KV heads', 'kCache.shape[2]', (d) => ({ kCache: d.empty([7, page, 2, 656], 'u8') })],
    [
      'an extra cache of another layout',
      'extraKCache',
      (d) => ({ extraKCache: d.empty([4, 2, 1, 584], 'u8') }),
    ],
    ['no extra indices', 'extraIndicesInKvCache', () => ({ extraIndicesInKvCache: null })],
    ['extra indices alone', 'extraIndicesInKvCache', () => ({ extraKCache: null })],
    [
      'an extra length alone',
      'extraTopkLength',
      () => ({ extraKCache: null, extraIndicesInKvCache: null }),
    ],
    ['indices of another sQ', 'indices.shape[1]', (d) => ({ indices: d.empty([b, 1, 64], 'i32') })],
    ['indices of another b', 'indices.shape[0]', (d) => ({ indices: d.empty([1, sQ, 64], 'i32') })],
    ['indices of width 0', 'indices.shape[2]', (d) => ({ indices: d.empty([b, sQ, 0], 'i32') })],
    ['indices of i64', 'indices', (d) => ({ indices: d.empty([b, sQ, 64], 'i64') })],
    ['indices that are no tensor', 'indices', () => ({ indices: 0 })],
    [
      'strided indices',
      'indices',
      (d) => ({ indices: d.emptyStrided([b, sQ, 64], [384, 128, 2], 'i32') }),
    ],
    ['a short topkLength', 'topkLength', (d) => ({ topkLength: d.empty([1], 'i32') })],
    ['a sink of f16', 'attnSink', (d) => ({ attnSink: d.empty([hQ], 'f16') })],
    ['a sink of another hQ', 'attnSink', (d) => ({ attnSink: d.empty([hQ - 1], 'f32') })],
    ['a sink of 0', 'attnSink', () => ({ attnSink: 0 })],
    ['causal', 'causal', () => ({ causal: true })],
    ['a block table', 'blockTable', (d) => ({ blockTable: d.empty([b, 4], 'i32') })],
    ['lengths', 'cacheSeqlens', (d) => ({ cacheSeqlens: d.empty([b], 'i32') })],
    ['a descale', 'descaleK', (d) => ({ descaleK: d.empty([1], 'f32') })],
  ];
  it.each(bad)('with %s is refused, naming %s', (_, argument, changes) => {
    expectRefusal(sparse(changes(device)), argument);
  });
});

describe('failures behind the validation', () => {
  it.each(['computeSchedule', 'denseDecode'] as const)(
    'of %s leave nothing allocated and the metadata unused',
    (operation) => {
      const call = dense();
      const before = new Set(backend.live);
      backend.failing = operation;
      expect(() => flashMlaWithKvCache(call as never)).toThrow(`${operation} fails`);
      expect(new Set(backend.live)).toEqual(before);
      expect(call.schedMeta.haveInitialized).toBe(false);
      backend.failing = undefined;
      flashMlaWithKvCache(call as never);
      expect(call.schedMeta.haveInitialized).toBe(true);
    },
  );

  it.each([0, 1, 2, 3])('of allocation %i leave nothing allocated', (room) => {
    const call = dense();
    const before = new Set(backend.live);
    backend.room = room;
    expect(() => flashMlaWithKvCache(call as never)).toThrow('no room');
    expect(new Set(backend.live)).toEqual(before);
    expect(call.schedMeta.haveInitialized).toBe(false);
  });

  it('do not free the outputs of the caller', () => {
    const out: Tensor = device.empty([b, sQ, hQ, 512], 'bf16');
    backend.failing = 'denseDecode';
    expect(() => flashMlaWithKvCache(dense({ out }) as never)).toThrow('denseDecode fails');
    expect(out.disposed).toBe(false);
  });
});
