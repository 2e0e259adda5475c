import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import type { DenseAttentionArgs } from '../contract.ts';
import { flashAttnVarlenFunc } from './flash-attn-varlen-func.ts';
import { flashAttnWithKvCache } from './flash-attn-with-kv-cache.ts';
import { type RecordingBackend, recordingDevice } from './testing/recording-backend.ts';
import { expectRefusal } from './testing/refusal.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

type Bad = [string, string, (make: Device) => Record<string, unknown>][];

describe('flashAttnVarlenFunc', () => {
  function varlen(changes: Record<string, unknown> = {}) {
    return {
      q: device.empty([10, 8, 192], 'bf16'),
      k: device.empty([20, 2, 192], 'bf16'),
      v: device.empty([20, 2, 128], 'bf16'),
      cuSeqlensQo: device.empty([3], 'i32'),
      cuSeqlensKv: device.empty([3], 'i32'),
      maxSeqlenQo: 7,
      maxSeqlenKv: 12,
      ...changes,
    };
  }

  it('hands everything to the backend', () => {
    const call = varlen({ causal: true, dropoutP: 0, deterministic: true, implementation: 'cpu' });
    const { out, lse } = flashAttnVarlenFunc(call as never);
    expect([out.shape, out.dtype, lse.shape]).toEqual([[10, 8, 128], 'bf16', [8, 10]]);
    const args = backend.calls[0]?.args as DenseAttentionArgs;
    expect(args).toMatchObject({
      maxSeqLenQ: 7,
      maxSeqLenK: 12,
      causal: true,
      softmaxScale: 1 / Math.sqrt(192),
    });
    expect(args.cuSeqlensQ).toBe(call.cuSeqlensQo);
    expect(args.cuSeqlensK).toBe(call.cuSeqlensKv);
    expect([args.blockTable, args.seqlensK]).toEqual([undefined, undefined]);
  });

  it('takes isVarlen: false as a promise that it checks', () => {
    flashAttnVarlenFunc(varlen({ isVarlen: false, maxSeqlenQo: 5, maxSeqlenKv: 10 }) as never);
    for (const maxima of [{ maxSeqlenQo: 5 }, { maxSeqlenKv: 10 }]) {
      const call = varlen({ isVarlen: false, ...maxima });
      expectRefusal(backend, () => flashAttnVarlenFunc(call as never), 'isVarlen');
    }
  });

  it('takes q, k and v that are columns of one packed tensor', () => {
    const qkv = device.empty([10, 4, 64 * 3], 'f16');
    const [q, k, v] = [0, 64, 128].map((at) => qkv.slice(2, at, at + 64));
    flashAttnVarlenFunc(varlen({ q, k, v, maxSeqlenKv: 10 }) as never);
    expect(backend.calls).toHaveLength(1);
  });

  it('frees its outputs when the backend fails', () => {
    const call = varlen();
    const before = new Set(backend.live);
    backend.failing = 'denseAttention';
    expect(() => flashAttnVarlenFunc(call as never)).toThrow('denseAttention fails');
    expect(new Set(backend.live)).toEqual(before);
  });

  const bad: Bad = [
    ['dropout', 'dropoutP', () => ({ dropoutP: 0.1 })],
    ['another kernel family', 'implementation', () => ({ implementation: 'sm90' })],
    ['an unknown name', 'windowSize', () => ({ windowSize: 4 })],
    ['q of f32', 'q', (d) => ({ q: d.empty([10, 8, 192], 'f32') })],
    ['k of another dtype', 'k', (d) => ({ k: d.empty([20, 2, 192], 'f16') })],
    ['k of another width', 'k.shape[2]', (d) => ({ k: d.empty([20, 2, 128], 'bf16') })],
    ['v of other rows', 'v.shape[0]', (d) => ({ v: d.empty([19, 2, 128], 'bf16') })],
    ['v of other heads', 'v.shape[1]', (d) => ({ v: d.empty([20, 1, 128], 'bf16') })],
    ['a V of 12 columns', 'v.shape[2]', (d) => ({ v: d.empty([20, 2, 12], 'bf16') })],
    [
      'heads that do not divide',
      'k.shape[1]',
      (d) => ({
        k: d.empty([20, 3, 192], 'bf16'),
        v: d.empty([20, 3, 128], 'bf16'),
      }),
    ],
    ['no offsets', 'cuSeqlensQo', () => ({ cuSeqlensQo: undefined })],
    ['offsets of no request', 'cuSeqlensQo', (d) => ({ cuSeqlensQo: d.empty([1], 'i32') })],
    ['offsets of another batch', 'cuSeqlensKv', (d) => ({ cuSeqlensKv: d.empty([4], 'i32') })],
    ['a longest query beyond q', 'maxSeqlenQo', () => ({ maxSeqlenQo: 11 })],
    ['no longest key', 'maxSeqlenKv', () => ({ maxSeqlenKv: undefined })],
    ['out of another shape', 'out', (d) => ({ out: d.empty([10, 8, 192], 'bf16') })],
    ['lse of another shape', 'lse', (d) => ({ lse: d.empty([10, 8], 'f32') })],
  ];
  it.each(bad)('with %s is refused, naming %s', (_, argument, changes) => {
    const call = varlen(changes(device));
    expectRefusal(backend, () => flashAttnVarlenFunc(call as never), argument);
  });
});

describe('flashAttnWithKvCache', () => {
  function cached(changes: Record<string, unknown> = {}) {
    return {
      q: device.empty([2, 3, 8, 64], 'f16'),
      kCache: device.empty([9, 16, 2, 64], 'f16'),
      vCache: device.empty([9, 16, 2, 128], 'f16'),
      cacheSeqlens: device.empty([2], 'i32'),
      blockTable: device.empty([2, 4], 'i32'),
      ...changes,
    };
  }

  it('hands everything to the backend, requests one after the other', () => {
    const call = cached({ softmaxScale: 0.3 });
    const { out, lse } = flashAttnWithKvCache(call as never);
    expect([out.shape, out.dtype]).toEqual([[2, 3, 8, 128], 'f16']);
    expect([lse.shape, lse.strides]).toEqual([
      [2, 8, 3],
      [3, 6, 1],
    ]);
    const args = backend.calls[0]?.args as DenseAttentionArgs;
    expect(args).toMatchObject({ maxSeqLenQ: 3, maxSeqLenK: 64, softmaxScale: 0.3, causal: false });
    expect(args.cuSeqlensQ).toBeUndefined();
    expect(args.q).toMatchObject({ shape: [6, 8, 64], strides: [512, 64, 1] });
    expect(args.out).toMatchObject({ shape: [6, 8, 128], strides: [1024, 128, 1] });
    expect(args.lse).toMatchObject({ shape: [8, 6] });
    expect(args.blockTable).toBe(call.blockTable);
    const before = backend.live.size;
    lse.dispose();
    out.dispose();
    expect(backend.live.size).toBe(before - 2);
  });

  it('needs no block table where every request owns a block', () => {
    flashAttnWithKvCache(cached({ blockTable: undefined }) as never);
    expect(backend.calls[0]?.args).toMatchObject({ blockTable: undefined, maxSeqLenK: 16 });
  });

  it('takes queries with gaps between requests only where they have one query', () => {
    const gap = (sQ: number) => device.empty([2, sQ + 1, 8, 64], 'f16').slice(1, 0, sQ);
    flashAttnWithKvCache(cached({ q: gap(1) }) as never);
    expect(backend.calls[0]?.args).toMatchObject({
      q: { shape: [2, 8, 64], strides: [1024, 64, 1] },
    });
    const call = cached({ q: gap(3) });
    expectRefusal(backend, () => flashAttnWithKvCache(call as never), 'q.strides');
  });

  const bad: Bad = [
    ['new keys to append', 'k', () => ({ k: null })],
    ['q of rank 3', 'q', (d) => ({ q: d.empty([6, 8, 64], 'f16') })],
    ['a cache of another dtype', 'kCache', (d) => ({ kCache: d.empty([9, 16, 2, 64], 'bf16') })],
    [
      'a cache of another width',
      'kCache.shape[3]',
      (d) => ({ kCache: d.empty([9, 16, 2, 72], 'f16') }),
    ],
    [
      'values of another page',
      'vCache.shape[1]',
      (d) => ({ vCache: d.empty([9, 8, 2, 128], 'f16') }),
    ],
    [
      'values of other blocks',
      'vCache.shape[0]',
      (d) => ({ vCache: d.empty([8, 16, 2, 128], 'f16') }),
    ],
    [
      'values of other heads',
      'vCache.shape[2]',
      (d) => ({ vCache: d.empty([9, 16, 1, 128], 'f16') }),
    ],
    ['lengths of another batch', 'cacheSeqlens', (d) => ({ cacheSeqlens: d.empty([3], 'i32') })],
    [
      'a table of another batch',
      'blockTable.shape[0]',
      (d) => ({ blockTable: d.empty([3, 4], 'i32') }),
    ],
    ['a table that is 0', 'blockTable', () => ({ blockTable: 0 })],
    [
      'too few blocks without a table',
      'kCache.shape[0]',
      (d) => ({
        blockTable: null,
        kCache: d.empty([1, 16, 2, 64], 'f16'),
        vCache: d.empty([1, 16, 2, 128], 'f16'),
      }),
    ],
    ['out of another shape', 'out', (d) => ({ out: d.empty([2, 3, 8, 64], 'f16') })],
  ];
  it.each(bad)('with %s is refused, naming %s', (_, argument, changes) => {
    const call = cached(changes(device));
    expectRefusal(backend, () => flashAttnWithKvCache(call as never), argument);
  });
});
