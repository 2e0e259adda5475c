import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Device,
  fp8MqaLogits,
  fp8PagedMqaLogits,
  indexTopK,
  openDevice,
  prepareIndexQueries,
  storeIndexKeys,
} from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { runConformance } from '../cases.ts';
import { type Fault, faultyDevice } from '../conformance/testing/faulty-backend.ts';
import type { IndexRowsArgs, IndexTopKArgs, MqaLogitsArgs } from './operations.ts';

const rotation = (d: Device) => ({
  ...{ cos: d.empty([9, 32], 'f32'), sin: d.empty([9, 32], 'f32'), pairs: 'half' as const },
  positions: d.empty([3], 'i32'),
});
const queries = (d: Device) => ({
  ...rotation(d),
  ...{ q: d.empty([3, 8, 128], 'bf16'), weights: d.empty([3, 8], 'f32') },
});
const keys = (d: Device) => ({
  ...rotation(d),
  ...{ k: d.empty([3, 128], 'bf16'), slots: d.empty([3], 'i32') },
  ...{ normWeight: d.empty([128], 'f32'), normBias: d.empty([128], 'f32') },
  indexCache: d.empty([2, 64, 1, 132], 'u8'),
});
const paged = (d: Device) => ({
  ...{ q: d.empty([3, 2, 8, 128], 'e4m3'), weights: d.empty([3, 2, 8], 'f32') },
  ...{ kvCache: d.empty([4, 64, 1, 132], 'u8'), blockTable: d.empty([3, 2], 'i32') },
  ...{ contextLens: d.empty([3, 2], 'i32'), maxContextLen: 100 },
});
const ragged = (d: Device) => ({
  ...{ q: d.empty([3, 8, 128], 'e4m3'), weights: d.empty([3, 8], 'f32') },
  ...{ k: d.empty([50, 128], 'e4m3'), kScales: d.empty([50], 'f32') },
  ...{ cuSeqlenKs: d.empty([3], 'i32'), cuSeqlenKe: d.empty([3], 'i32') },
});
const choice = (d: Device) => ({
  ...{ logits: d.empty([4, 70], 'f32'), k: 32, ends: d.empty([4], 'i32') },
});

describe('the arguments of the indexer', () => {
  let device: Device;
  let backend: RecordingBackend;
  beforeEach(() => {
    ({ device, backend } = recordingDevice());
  });

  it('pass on to the device, with outputs of their own', () => {
    const prepared = prepareIndexQueries(queries(device));
    expect([prepared.q.dtype, prepared.q.shape]).toEqual(['e4m3', [3, 8, 128]]);
    expect([prepared.weights.dtype, prepared.weights.shape]).toEqual(['f32', [3, 8]]);
    const options = keys(device);
    expect(storeIndexKeys(options)).toBe(options.indexCache);
    expect(fp8PagedMqaLogits(paged(device)).shape).toEqual([6, 100]);
    expect(fp8MqaLogits(ragged(device)).shape).toEqual([3, 50]);
    expect(indexTopK(choice(device)).shape).toEqual([4, 32]);
    const calls = backend.calls.map(({ operation }) => operation);
    const all = ['indexRows', 'indexRows', 'mqaLogits', 'mqaLogits', 'indexTopK'];
    expect(calls).toEqual(all);
  });

  it('enqueue nothing for no rows', () => {
    const logits = device.empty([0, 70], 'f32');
    indexTopK({ logits, k: 3, ends: device.empty([0], 'i32') });
    expect(backend.calls).toEqual([]);
  });

  type Change = (d: Device) => object;
  const refused = (
    call: (options: never) => unknown,
    valid: (d: Device) => object,
    cases: [string, string, Change][],
  ) =>
    it.each(cases)(`${call.name}: %s %s is refused`, (argument, _, change) => {
      const options = { ...valid(device), ...change(device) };
      expectRefusal(backend, () => call(options as never), argument);
    });

  refused(prepareIndexQueries, queries, [
    ['q.shape[1]', 'of 65 heads', (d) => ({ q: d.empty([3, 65, 128], 'bf16') })],
    ['q.shape[2]', 'of 64 dimensions', (d) => ({ q: d.empty([3, 8, 64], 'bf16') })],
    ['weights', 'of other heads', (d) => ({ weights: d.empty([3, 9], 'f32') })],
    ['cos.shape[1]', 'of 64 pairs', (d) => ({ cos: d.empty([9, 64], 'f32') })],
    ['sin.shape[0]', 'shorter', (d) => ({ sin: d.empty([8, 32], 'f32') })],
    ['positions', 'of other rows', (d) => ({ positions: d.empty([4], 'i32') })],
    ['pairs', 'left out', () => ({ pairs: undefined })],
    ['hadamard', 'a number', () => ({ hadamard: 1 })],
    ['outQ', 'of bf16', (d) => ({ outQ: d.empty([3, 8, 128], 'bf16') })],
    ['scaleFormat', 'unknown', () => ({ scaleFormat: 'ue8m0' })],
  ]);
  refused(storeIndexKeys, keys, [
    ['k.shape[1]', 'wider', (d) => ({ k: d.empty([3, 129], 'bf16') })],
    ['normBias', 'of another dtype', (d) => ({ normBias: d.empty([128], 'bf16') })],
    ['eps', 'negative', () => ({ eps: -1 })],
    [
      'indexCache.shape[1]',
      'with odd pages',
      (d) => ({ indexCache: d.empty([2, 60, 1, 132], 'u8') }),
    ],
    [
      'indexCache.shape[3]',
      'of 128 bytes',
      (d) => ({ indexCache: d.empty([2, 64, 1, 128], 'u8') }),
    ],
    ['slots', 'of i64', (d) => ({ slots: d.empty([3], 'i64') })],
  ]);
  refused(fp8PagedMqaLogits, paged, [
    ['q', 'of bf16', (d) => ({ q: d.empty([3, 2, 8, 128], 'bf16') })],
    ['weights', 'of other queries', (d) => ({ weights: d.empty([3, 1, 8], 'f32') })],
    ['blockTable.shape[0]', 'of other requests', (d) => ({ blockTable: d.empty([2, 2], 'i32') })],
    ['blockTable.shape[1]', 'too narrow', () => ({ maxContextLen: 129 })],
    ['maxContextLen', 'of 0', () => ({ maxContextLen: 0 })],
    ['contextLens', 'of one query', (d) => ({ contextLens: d.empty([3, 1], 'i32') })],
    ['out', 'of another width', (d) => ({ out: d.empty([6, 99], 'f32') })],
  ]);
  refused(fp8MqaLogits, ragged, [
    ['k', 'of bytes', (d) => ({ k: d.empty([50, 128], 'u8') })],
    [
      'k',
      'that begins anywhere',
      (d) => ({ k: d.empty([6407], 'e4m3').slice(0, 7, 6407).reshape([50, 128]) }),
    ],
    ['kScales', 'of other keys', (d) => ({ kScales: d.empty([51], 'f32') })],
    ['cuSeqlenKe', 'left out', () => ({ cuSeqlenKe: undefined })],
  ]);
  refused(indexTopK, choice, [
    ['k', 'of 0', () => ({ k: 0 })],
    ['k', 'of 4097', () => ({ k: 4097 })],
    ['ends', 'of other rows', (d) => ({ ends: d.empty([3], 'i32') })],
    ['pageSize', 'without a table', () => ({ pageSize: 64 })],
    ['pageSize', 'left out', (d) => ({ blockTable: d.empty([2, 2], 'i32') })],
    [
      'blockTable.shape[0]',
      'of 3 requests',
      (d) => ({ blockTable: d.empty([3, 2], 'i32'), pageSize: 64 }),
    ],
    ['out', 'of i64', (d) => ({ out: d.empty([4, 32], 'i64') })],
  ]);
});

describe('a device with one fault fails', () => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice('cpu');
  });
  afterAll(() => device.dispose());

  type Change = [string, string, Fault];
  const rows = (change: (args: IndexRowsArgs) => IndexRowsArgs) => ({ indexRows: change }) as Fault;
  const dots = (change: (args: MqaLogitsArgs) => MqaLogitsArgs) => ({ mqaLogits: change }) as Fault;
  const tops = (change: (args: IndexTopKArgs) => IndexTopKArgs) => ({ indexTopK: change }) as Fault;
  it.each<Change>([
    ['rotates other pairs', 'index-', rows((a) => ({ ...a, interleaved: !a.interleaved }))],
    ['has no Hadamard matrix', 'index-', rows((a) => ({ ...a, hadamard: false }))],
    ['reads the pages of one request', 'mqa', dots((a) => ({ ...a, queriesPerRequest: 99 }))],
    ['ignores where keys begin', 'mqa', dots(withoutStarts)],
    ['ignores where rows begin', 'top-k', tops((a) => ({ ...a, starts: undefined }))],
    ['does not map indices', 'top-k', tops((a) => ({ ...a, blockTable: undefined, pageSize: 0 }))],
  ])('%s', async (_, filter, fault) => {
    const failed: string[] = [];
    for await (const { status, name } of runConformance(faultyDevice(device, fault), { filter })) {
      if (status === 'failed') failed.push(name);
    }
    expect(failed.length).toBeGreaterThan(0);
  });
});

function withoutStarts(args: MqaLogitsArgs): MqaLogitsArgs {
  const { keys } = args;
  if (keys.kind === 'paged') return args;
  return { ...args, keys: { ...keys, starts: args.ends }, ends: args.ends };
}
