import { beforeEach, describe, expect, it } from 'vitest';
import type { Device } from '../../../runtime/device/device.ts';
import type { SparsePrefillArgs } from '../contract.ts';
import { flashMlaSparseFwd } from './flash-mla-sparse-fwd.ts';
import { type RecordingBackend, recordingDevice } from './testing/recording-backend.ts';
import { expectRefusal } from './testing/refusal.ts';

let device: Device;
let backend: RecordingBackend;

beforeEach(() => {
  ({ device, backend } = recordingDevice());
});

const [sQ, hQ, hKv, sKv] = [3, 8, 2, 20];

function prefill(changes: Record<string, unknown> = {}) {
  return {
    q: device.empty([sQ, hQ, 576], 'bf16'),
    kv: device.empty([sKv, hKv, 576], 'bf16'),
    indices: device.empty([sQ, hKv, 64], 'i32'),
    smScale: 0.5,
    ...changes,
  };
}

describe('flashMlaSparseFwd', () => {
  it('hands everything to the backend', () => {
    const attnSink = device.empty([hQ], 'f32');
    const topkLength = device.empty([sQ], 'i32');
    const call = prefill({ attnSink, topkLength });
    const { out, maxLogits, lse } = flashMlaSparseFwd(call as never);
    expect([out.shape, out.dtype]).toEqual([[sQ, hQ, 512], 'bf16']);
    expect([maxLogits.shape, lse.shape, lse.dtype]).toEqual([[sQ, hQ], [sQ, hQ], 'f32']);
    const args = backend.calls[0]?.args as SparsePrefillArgs;
    expect(args).toMatchObject({ smScale: 0.5, headDimV: 512 });
    for (const [given, passed] of [
      [call.q, args.q],
      [call.kv, args.kv],
      [call.indices, args.indices],
      [attnSink, args.attnSink],
      [topkLength, args.topkLength],
      [out, args.out],
      [maxLogits, args.maxLogits],
      [lse, args.lse],
    ]) {
      expect(passed).toBe(given);
    }
  });

  it('writes to the outputs that it is given', () => {
    const out = device.empty([sQ, hQ, 512], 'bf16');
    const maxLogits = device.empty([sQ, hQ], 'f32');
    const lse = device.empty([sQ, hQ], 'f32');
    const call = prefill({ out, maxLogits, lse });
    expect(flashMlaSparseFwd(call as never)).toEqual({ out, maxLogits, lse });
  });

  it('frees its outputs when the backend fails', () => {
    const call = prefill();
    const before = new Set(backend.live);
    backend.failing = 'sparsePrefill';
    expect(() => flashMlaSparseFwd(call as never)).toThrow('sparsePrefill fails');
    expect(new Set(backend.live)).toEqual(before);
  });

  const bad: [string, string, (make: Device) => Record<string, unknown>][] = [
    ['an unknown name', 'softmaxScale', () => ({ softmaxScale: 1 })],
    ['no scale', 'smScale', () => ({ smScale: undefined })],
    ['a negative scale', 'smScale', () => ({ smScale: -1 })],
    ['q of rank 4', 'q', (d) => ({ q: d.empty([1, sQ, hQ, 576], 'bf16') })],
    ['q of f16', 'q', (d) => ({ q: d.empty([sQ, hQ, 576], 'f16') })],
    ['q of width 64', 'dV', (d) => ({ q: d.empty([sQ, hQ, 64], 'bf16') })],
    ['q of width 640', 'q.shape[2]', (d) => ({ q: d.empty([sQ, hQ, 640], 'bf16') })],
    ['an empty q', 'q.shape[0]', (d) => ({ q: d.empty([0, hQ, 576], 'bf16') })],
    ['a strided q', 'q', (d) => ({ q: d.emptyStrided([sQ, hQ, 576], [9999, 1153, 2], 'bf16') })],
    ['kv of another width', 'kv.shape[2]', (d) => ({ kv: d.empty([sKv, hKv, 512], 'bf16') })],
    ['kv of f32', 'kv', (d) => ({ kv: d.empty([sKv, hKv, 576], 'f32') })],
    ['three KV heads', 'kv.shape[1]', (d) => ({ kv: d.empty([sKv, 3, 576], 'bf16') })],
    ['an empty kv', 'kv.shape[0]', (d) => ({ kv: d.empty([0, hKv, 576], 'bf16') })],
    [
      'indices of other heads',
      'indices.shape[1]',
      (d) => ({ indices: d.empty([sQ, 1, 64], 'i32') }),
    ],
    [
      'indices of another sQ',
      'indices.shape[0]',
      (d) => ({ indices: d.empty([1, hKv, 64], 'i32') }),
    ],
    ['empty indices', 'indices.shape[2]', (d) => ({ indices: d.empty([sQ, hKv, 0], 'i32') })],
    ['no indices', 'indices', () => ({ indices: null })],
    ['dV 576', 'dV', () => ({ dV: 576 })],
    ['dV 0', 'dV', () => ({ dV: 0 })],
    ['a sink of another length', 'attnSink', (d) => ({ attnSink: d.empty([1], 'f32') })],
    ['a sink that is false', 'attnSink', () => ({ attnSink: false })],
    ['lengths for requests', 'topkLength', (d) => ({ topkLength: d.empty([1], 'i32') })],
    ['out of another shape', 'out', (d) => ({ out: d.empty([sQ, hQ, 576], 'bf16') })],
    ['lse of another dtype', 'lse', (d) => ({ lse: d.empty([sQ, hQ], 'bf16') })],
  ];
  it.each(bad)('with %s is refused, naming %s', (_, argument, changes) => {
    const call = prefill(changes(device));
    expectRefusal(backend, () => flashMlaSparseFwd(call as never), argument);
  });
});
