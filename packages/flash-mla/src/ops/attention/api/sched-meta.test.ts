import { DisposedError, InvalidArgumentError } from '@flash-mla/core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import type { DenseDecodeArgs } from '../contract.ts';
import type { ComputeScheduleArgs } from '../schedule-contract.ts';
import { flashMlaWithKvCache } from './flash-mla-with-kv-cache.ts';
import { getMlaMetadata } from './get-mla-metadata.ts';
import { FlashMlaSchedMeta } from './sched-meta.ts';
import { type RecordingBackend, recordingDevice } from './testing/recording-backend.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

interface Size {
  b?: number;
  sQ?: number;
  hQ?: number;
  hK?: number;
  page?: number;
  d?: number;
  dtype?: 'bf16' | 'f16' | 'e4m3';
}

function dense(schedMeta: unknown, size: Size = {}, more: Record<string, unknown> = {}) {
  const { b = 2, sQ = 1, hQ = 8, hK = 1, page = 64, d = 576, dtype = 'bf16' } = size;
  return flashMlaWithKvCache({
    q: device.empty([b, sQ, hQ, d], dtype),
    kCache: device.empty([9, page, hK, d], dtype),
    blockTable: device.empty([b, 4], 'i32'),
    cacheSeqlens: device.empty([b], 'i32'),
    headDimV: 512,
    schedMeta,
    ...more,
  } as never);
}

function sparse(
  schedMeta: unknown,
  { topk = 64, extra = 0, extraPage = 2 } = {},
  more: Record<string, unknown> = {},
) {
  return flashMlaWithKvCache({
    q: device.empty([2, 1, 8, 576], 'bf16'),
    kCache: device.empty([9, 64, 1, 656], 'u8'),
    indices: device.empty([2, 1, topk], 'i32'),
    ...(extra && {
      extraKCache: device.empty([9, extraPage, 1, 656], 'u8'),
      extraIndicesInKvCache: device.empty([2, 1, extra], 'i32'),
    }),
    headDimV: 512,
    schedMeta,
    ...more,
  } as never);
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

const operations = () => backend.calls.map(({ operation }) => operation);

describe('FlashMlaSchedMeta', () => {
  it('is empty until its first use, which fixes it', () => {
    const [meta, none] = getMlaMetadata();
    expect(none).toBeNull();
    expect(meta).toBeInstanceOf(FlashMlaSchedMeta);
    expect([meta.haveInitialized, meta.config, meta.numSplits]).toEqual([false, null, null]);
    dense(meta, { sQ: 2 }, { causal: true });
    expect(meta.haveInitialized).toBe(true);
    expect(meta.config).toMatchObject({
      b: 2,
      sQ: 2,
      hQ: 8,
      pageBlockSize: 64,
      hK: 1,
      causal: true,
      isFp8KvCache: false,
      topk: null,
      extraPageBlockSize: null,
      extraTopk: null,
    });
    expect(meta.tileSchedulerMetadata?.shape).toEqual([3, 8]);
    expect(meta.numSplits?.shape).toEqual([3]);
    const [sparseMeta] = getMlaMetadata();
    sparse(sparseMeta, { topk: 64, extra: 128, extraPage: 5 });
    expect(sparseMeta.config).toMatchObject({
      isFp8KvCache: true,
      topk: 64,
      extraPageBlockSize: 5,
      extraTopk: 128,
    });
  });

  it('computes once and serves every layer', () => {
    const [meta] = getMlaMetadata();
    for (let layer = 0; layer < 3; layer++) dense(meta);
    expect(operations()).toEqual(['computeSchedule', 'denseDecode', 'denseDecode', 'denseDecode']);
    const used = backend.calls.slice(1).map(({ args }) => (args as DenseDecodeArgs).schedule);
    expect(new Set(used).size).toBe(1);
    expect(used[0]?.metadata).toBe(meta.tileSchedulerMetadata);
  });

  it.each([
    ['b', { b: 3 }, {}],
    ['sQ', { sQ: 2 }, {}],
    ['hQ', { hQ: 16 }, {}],
    ['pageBlockSize', { page: 32 }, {}],
    ['hK', { hK: 2 }, {}],
    ['causal', {}, { causal: true }],
    ['isFp8KvCache', { dtype: 'e4m3' }, {}],
    ['headDimQk', { d: 512 }, {}],
    ['headDimV', {}, { headDimV: 256 }],
    ['deterministic', {}, { deterministic: true }],
  ] as [string, Size, object][])('refuses another %s by name', (field, size, more) => {
    const [meta] = getMlaMetadata();
    dense(meta);
    const calls = backend.calls.length;
    const error = thrownBy(() => dense(meta, size, more as Record<string, unknown>));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as InvalidArgumentError).argument).toBe(`schedMeta.${field}`);
    expect((error as Error).message).toMatch(/as in its first use.*getMlaMetadata/);
    expect(backend.calls).toHaveLength(calls);
  });

  it.each([
    ['topk', { topk: 128, extra: 64 }],
    ['extraPageBlockSize', { extra: 64, extraPage: 4 }],
    ['extraTopk', { extra: 128 }],
    ['extraPageBlockSize', {}],
  ])('refuses another %s by name', (field, size) => {
    const [meta] = getMlaMetadata();
    sparse(meta, { extra: 64 });
    const error = thrownBy(() => sparse(meta, size));
    expect((error as InvalidArgumentError).argument).toBe(`schedMeta.${field}`);
  });

  it('refuses another device', () => {
    const [meta] = getMlaMetadata();
    dense(meta);
    device = recordingDevice('cuda:1').device;
    expect(thrownBy(() => dense(meta))).toMatchObject({ argument: 'schedMeta' });
  });

  it('frees its tensors when disposed and cannot be used again', () => {
    const [meta] = getMlaMetadata();
    dense(meta);
    const before = backend.live.size;
    meta.dispose();
    meta.dispose();
    expect(backend.live.size).toBe(before - 2);
    expect(thrownBy(() => dense(meta))).toBeInstanceOf(DisposedError);
  });

  it('computes again, in the same memory, after reset()', () => {
    const [meta] = getMlaMetadata();
    meta.reset();
    dense(meta);
    const { tileSchedulerMetadata } = meta;
    meta.reset();
    dense(meta);
    dense(meta);
    expect(operations()).toEqual([
      'computeSchedule',
      'denseDecode',
      'computeSchedule',
      'denseDecode',
      'denseDecode',
    ]);
    const again = backend.calls[2]?.args as ComputeScheduleArgs | undefined;
    expect(again?.metadata).toBe(tileSchedulerMetadata);
  });

  it('is computed within each capture and again outside, so that no one reads what never ran', () => {
    const [meta] = getMlaMetadata();
    dense(meta);
    device.capture(() => {
      dense(meta);
      dense(meta);
    });
    dense(meta);
    expect(operations()).toEqual([
      'computeSchedule',
      'denseDecode',
      // captured
      'computeSchedule',
      'denseDecode',
      'denseDecode',
      // eager again
      'computeSchedule',
      'denseDecode',
    ]);
  });
});

describe('getMlaMetadata(cacheSeqlens, …)', () => {
  it('computes eagerly and remembers the problem', () => {
    const cacheSeqlens = device.empty([2], 'i32');
    const [metadata, numSplits] = getMlaMetadata(cacheSeqlens, 16, 1, 8);
    expect([metadata.shape, metadata.dtype]).toEqual([[3, 8], 'i32']);
    expect([numSplits.shape, numSplits.dtype]).toEqual([[3], 'i32']);
    expect(operations()).toEqual(['computeSchedule']);
    expect(backend.calls[0]?.args).toMatchObject({
      problem: { kind: 'dense', batch: 2, seqLenQ: 2, numHeadsQ: 8, numHeadsKv: 1, isFp8: false },
      seqlens: cacheSeqlens,
    });
    dense(metadata, { sQ: 2 }, { numSplits });
    const decode = backend.calls[1]?.args as DenseDecodeArgs | undefined;
    expect(decode?.schedule.metadata).toBe(metadata);
    expect(operations()).toEqual(['computeSchedule', 'denseDecode']);
  });

  it('takes sQ = 1 where numHeadsQ is unknown and accepts any split of the same rows', () => {
    const [metadata, numSplits] = getMlaMetadata(device.empty([2], 'i32'), 16, 1);
    dense(metadata, { sQ: 2, hQ: 8 }, { numSplits });
    dense(metadata, { sQ: 1, hQ: 16 }, { numSplits });
    const error = thrownBy(() => dense(metadata, { sQ: 1, hQ: 8 }, { numSplits }));
    expect(error).toMatchObject({ argument: 'schedMeta.problem' });
  });

  it('plans a sparse problem from topk and not from lengths', () => {
    const lengths = {
      topkLength: device.empty([2], 'i32'),
      extraTopkLength: device.empty([2], 'i32'),
    };
    const [metadata, numSplits] = getMlaMetadata(device.empty([2], 'i32'), 8, 1, 8, true, 64, {
      extraTopk: 128,
      ...lengths,
    });
    expect(backend.calls[0]?.args).toMatchObject({
      problem: { kind: 'sparse', topk: 64, extraTopk: 128, isFp8: true },
      seqlens: undefined,
      ...lengths,
    });
    sparse(metadata, { extra: 128 }, { numSplits });
    expect(thrownBy(() => sparse(metadata, {}, { numSplits }))).toMatchObject({
      argument: 'schedMeta.problem.extraTopk',
    });
  });

  it.each([
    ['kind', () => sparse],
    ['batch', () => (m: unknown, s: object) => dense(m, { b: 3 }, s as Record<string, unknown>)],
    [
      'numHeadsKv',
      () => (m: unknown, s: object) => dense(m, { hK: 2 }, s as Record<string, unknown>),
    ],
    [
      'headDimQk',
      () => (m: unknown, s: object) => dense(m, { d: 512 }, s as Record<string, unknown>),
    ],
    [
      'isFp8',
      () => (m: unknown, s: object) => dense(m, { dtype: 'e4m3' }, s as Record<string, unknown>),
    ],
  ])('is refused for another %s', (field, call) => {
    const [metadata, numSplits] = getMlaMetadata(device.empty([2], 'i32'), 8, 1, 8);
    const run = call() as (m: unknown, a: object, b?: object) => unknown;
    const error = thrownBy(() =>
      field === 'kind' ? run(metadata, {}, { numSplits }) : run(metadata, { numSplits }),
    );
    expect(error).toMatchObject({ argument: `schedMeta.problem.${field}` });
  });

  it('goes with its own numSplits only', () => {
    const [metadata, numSplits] = getMlaMetadata(device.empty([2], 'i32'), 8, 1, 8);
    const [, other] = getMlaMetadata(device.empty([2], 'i32'), 8, 1, 8);
    for (const wrong of [undefined, null, other, device.empty([3], 'i32')]) {
      const error = thrownBy(() => dense(metadata, {}, { numSplits: wrong }));
      expect(error).toMatchObject({ argument: 'numSplits' });
    }
    numSplits.dispose();
    expect(thrownBy(() => dense(metadata, {}, { numSplits }))).toBeInstanceOf(DisposedError);
    metadata.dispose();
    expect(thrownBy(() => dense(metadata, {}, { numSplits }))).toBeInstanceOf(DisposedError);
  });

  it.each([
    ['cacheSeqlens', [undefined]],
    ['cacheSeqlens', [[1, 2], 8, 1]],
    ['numQTokensPerHeadK', ['lengths', 0, 1]],
    ['numQTokensPerHeadK', ['lengths', 1.5, 1]],
    ['numHeadsK', ['lengths', 8]],
    ['numHeadsQ', ['lengths', 8, 1, 3]],
    ['numHeadsQ', ['lengths', 8, 2, 1]],
    ['isFp8KvCache', ['lengths', 8, 1, 8, 1]],
    ['topk', ['lengths', 8, 1, 8, true, 0]],
    ['topk', ['lengths', 8, 1, 8, true, Number.NaN]],
    ['extraTopk', ['lengths', 8, 1, 8, true, 64, { extraTopk: -1 }]],
    ['extraTopk', ['lengths', 8, 1, 8, false, null, { extraTopk: 64 }]],
    ['topkLength', ['lengths', 8, 1, 8, false, null, { topkLength: 'lengths' }]],
    ['extraTopkLength', ['lengths', 8, 1, 8, true, 64, { extraTopkLength: 'lengths' }]],
    ['topkLength', ['lengths', 8, 1, 8, true, 64, { topkLength: 7 }]],
    ['deterministic', ['lengths', 8, 1, 8, true, 64, { deterministic: 1 }]],
    ['causal', ['lengths', 8, 1, 8, false, null, { causal: true }]],
    ['options', ['lengths', 8, 1, 8, false, null, null]],
  ] as [string, unknown[]][])('refuses a wrong %s: %j', (argument, args) => {
    const lengths = device.empty([2], 'i32');
    const fill = (value: unknown): unknown => {
      if (value === 'lengths') return lengths;
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, fill(v)]));
    };
    const error = thrownBy(() => getMlaMetadata(...(args.map(fill) as [never, never, never])));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect((error as InvalidArgumentError).argument).toBe(argument);
    expect(backend.calls).toEqual([]);
    expect(backend.live.size).toBe(1);
  });

  it('leaves nothing allocated when it fails', () => {
    const lengths = device.empty([2], 'i32');
    backend.failing = 'computeSchedule';
    expect(() => getMlaMetadata(lengths, 8, 1, 8)).toThrow('computeSchedule fails');
    expect(backend.live.size).toBe(1);
  });
});
