import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  appendKvCache,
  type Device,
  dequantizeKvCache,
  flashAttnVarlenFunc,
  flashAttnWithKvCache,
  flashMlaSparseFwd,
  flashMlaWithKvCache,
  getMlaMetadata,
  type InvalidArgumentError,
  openDevice,
  quantizeKvCache,
  type Tensor,
} from '../../../index.ts';
import { Random } from '../suite/random.ts';
import { Outcomes } from './outcomes.ts';

let device: Device;
let other: Device;
beforeAll(async () => {
  device = await openDevice('cpu', { threads: 1 });
  other = await openDevice('cpu', { threads: 1 });
});
afterAll(async () => {
  await device.dispose();
  await other.dispose();
});

type Options = Record<string, unknown>;

/** An operation with arguments that are right; what it returns is freed by the test. */
interface Subject {
  readonly name: string;
  readonly valid: () => Options;
  readonly call: (options: Options) => unknown;
}

function bf16(...shape: number[]) {
  return device.empty(shape, 'bf16');
}

function i32(value: number, ...shape: number[]) {
  const count = shape.reduce((product, n) => product * n, 1);
  return device.tensor(new Int32Array(count).fill(value), shape, 'i32');
}

const zeros = (shape: number[], dtype: 'bf16' | 'u8' | 'f32') => {
  const count = shape.reduce((product, n) => product * n, 1);
  return device.tensor(new Float32Array(count), shape, dtype);
};

const decodeCall = (options: Options) => flashMlaWithKvCache(options as never);

const subjects: readonly Subject[] = [
  {
    name: 'flashMlaWithKvCache, dense',
    call: decodeCall,
    valid: () => ({
      q: zeros([2, 1, 4, 32], 'bf16'),
      kCache: zeros([3, 4, 2, 32], 'bf16'),
      blockTable: i32(1, 2, 2),
      cacheSeqlens: i32(5, 2),
      headDimV: 16,
      schedMeta: getMlaMetadata()[0],
      numSplits: null,
      softmaxScale: 0.1,
      causal: true,
      deterministic: false,
      isFp8KvCache: false,
      out: bf16(2, 1, 4, 16),
      lse: device.empty([2, 4, 1], 'f32'),
    }),
  },
  {
    name: 'flashMlaWithKvCache, dense e4m3',
    call: decodeCall,
    valid: () => ({
      q: device.tensor(new Uint8Array(64), [2, 1, 2, 16], 'e4m3'),
      kCache: device.tensor(new Uint8Array(64), [2, 2, 1, 16], 'e4m3'),
      blockTable: i32(1, 2, 2),
      cacheSeqlens: i32(2, 2),
      headDimV: 16,
      schedMeta: getMlaMetadata()[0],
      descaleQ: zeros([1], 'f32'),
      descaleK: zeros([1], 'f32'),
      isFp8KvCache: true,
    }),
  },
  {
    name: 'flashMlaWithKvCache with metadata tensors',
    call: decodeCall,
    valid: () => {
      const cacheSeqlens = i32(5, 2);
      const [schedMeta, numSplits] = getMlaMetadata(cacheSeqlens, 2, 2, 4, false, null, {
        headDimQk: 32,
        headDimV: 16,
      });
      return {
        q: zeros([2, 1, 4, 32], 'bf16'),
        kCache: zeros([3, 4, 2, 32], 'bf16'),
        blockTable: i32(1, 2, 2),
        cacheSeqlens,
        headDimV: 16,
        schedMeta,
        numSplits,
      };
    },
  },
  {
    name: 'flashMlaWithKvCache, sparse',
    call: decodeCall,
    valid: () => ({
      q: zeros([2, 1, 3, 576], 'bf16'),
      kCache: zeros([2, 2, 1, 656], 'u8'),
      indices: i32(1, 2, 1, 4),
      topkLength: i32(3, 2),
      extraKCache: zeros([1, 3, 1, 656], 'u8'),
      extraIndicesInKvCache: i32(1, 2, 1, 2),
      extraTopkLength: i32(1, 2),
      attnSink: zeros([3], 'f32'),
      headDimV: 512,
      schedMeta: getMlaMetadata()[0],
      isFp8KvCache: true,
      causal: false,
    }),
  },
  {
    name: 'flashMlaSparseFwd',
    call: (options) => flashMlaSparseFwd(options as never),
    valid: () => ({
      q: zeros([2, 2, 512], 'bf16'),
      kv: zeros([3, 1, 512], 'bf16'),
      indices: i32(1, 2, 1, 4),
      smScale: 0.5,
      dV: 512,
      attnSink: zeros([2], 'f32'),
      topkLength: i32(2, 2),
      out: bf16(2, 2, 512),
      lse: device.empty([2, 2], 'f32'),
      maxLogits: device.empty([2, 2], 'f32'),
    }),
  },
  {
    name: 'flashAttnVarlenFunc',
    call: (options) => flashAttnVarlenFunc(options as never),
    valid: () => ({
      q: zeros([3, 4, 16], 'bf16'),
      k: zeros([5, 2, 16], 'bf16'),
      v: zeros([5, 2, 8], 'bf16'),
      cuSeqlensQo: device.tensor([0, 1, 3], [3], 'i32'),
      cuSeqlensKv: device.tensor([0, 2, 5], [3], 'i32'),
      maxSeqlenQo: 2,
      maxSeqlenKv: 3,
      dropoutP: 0,
      softmaxScale: 1,
      causal: true,
      deterministic: true,
      isVarlen: true,
      implementation: 'auto',
      out: bf16(3, 4, 8),
      lse: device.empty([4, 3], 'f32'),
    }),
  },
  {
    name: 'flashAttnWithKvCache',
    call: (options) => flashAttnWithKvCache(options as never),
    valid: () => ({
      q: zeros([2, 1, 4, 16], 'bf16'),
      kCache: zeros([3, 4, 2, 16], 'bf16'),
      vCache: zeros([3, 4, 2, 8], 'bf16'),
      cacheSeqlens: i32(3, 2),
      blockTable: i32(1, 2, 2),
      softmaxScale: null,
      causal: false,
      implementation: 'auto',
      out: bf16(2, 1, 4, 8),
    }),
  },
  {
    name: 'quantizeKvCache',
    call: (options) => quantizeKvCache(options as never),
    valid: () => ({
      kCache: zeros([2, 2, 1, 576], 'bf16'),
      layout: 'v32',
      out: zeros([2, 2, 1, 656], 'u8'),
    }),
  },
  {
    name: 'dequantizeKvCache',
    call: (options) => dequantizeKvCache(options as never),
    valid: () => ({
      kCache: zeros([2, 2, 1, 584], 'u8'),
      layout: 'model1',
      out: bf16(2, 2, 1, 512),
    }),
  },
  {
    name: 'appendKvCache',
    call: (options) => appendKvCache(options as never),
    valid: () => ({
      kCache: zeros([2, 2, 1, 584], 'u8'),
      rows: zeros([3, 1, 512], 'bf16'),
      slots: i32(1, 3),
      layout: 'model1',
    }),
  },
  {
    name: 'getMlaMetadata',
    call: (options) => {
      const { cacheSeqlens, numQTokensPerHeadK, numHeadsK, numHeadsQ, isFp8KvCache, topk } =
        options;
      return getMlaMetadata(
        cacheSeqlens as never,
        numQTokensPerHeadK as never,
        numHeadsK as never,
        numHeadsQ as never,
        isFp8KvCache as never,
        topk as never,
        options.options as never,
      );
    },
    valid: () => ({
      cacheSeqlens: i32(5, 2),
      numQTokensPerHeadK: 4,
      numHeadsK: 1,
      numHeadsQ: 4,
      isFp8KvCache: false,
      topk: 64,
      options: { extraTopk: 4, topkLength: i32(3, 2) },
    }),
  },
  {
    name: 'getMlaMetadata options',
    call: ({ cacheSeqlens, ...options }) =>
      getMlaMetadata(cacheSeqlens as never, 4, 1, 4, false, 64, options as never),
    valid: () => ({
      cacheSeqlens: i32(5, 2),
      headDimQk: 576,
      headDimV: 512,
      extraTopk: 4,
      topkLength: i32(3, 2),
      extraTopkLength: i32(3, 2),
      deterministic: false,
    }),
  },
];

/** Values of every wrong type, and numbers of every wrong kind. */
function junkValue(random: Random): unknown {
  return random.pick<() => unknown>([
    () => undefined,
    () => null,
    () => random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 0]),
    () => random.pick([-1, 0.5, 1e-320, 3, 17, 511, 2 ** 31, 2 ** 53, 1e300, -(2 ** 31)]),
    () => random.pick(['', 'auto', 'x', '0', 'true', '__proto__', 'v31', 'y'.repeat(10_000)]),
    () => random.pick([true, false, 0n, -5n, 2n ** 100n]),
    () => random.pick([Symbol('s'), () => 1, class A {}, new Date(), /x/, new Map()]),
    () => random.pick([[], {}, [1, 2, 3], { shape: [1], dtype: 'bf16' }, Object.create(null)]),
    () => random.pick([new Float32Array(4), new Int32Array(2), new ArrayBuffer(8)]),
    () => ({ dtype: 'bf16', shape: [2, 1, 4, 32], strides: [128, 128, 32, 1], device, buffer: {} }),
    () => junkTensor(random),
    () => junkTensor(random),
  ])();
}

function junkTensor(random: Random): Tensor {
  const dtype = random.pick(['bf16', 'f16', 'f32', 'e4m3', 'e8m0', 'u8', 'i32', 'i64'] as const);
  const shape = Array.from({ length: random.integer(0, 5) }, () =>
    random.pick([0, 1, 2, 3, 4, 16]),
  );
  const tensor = random.pick([device, device, other]).empty(shape, dtype);
  if (random.chance(0.2)) tensor.dispose();
  return tensor;
}

/** A tensor that is nearly right: another extent, dtype, stride, device, or already gone. */
function spoiled(tensor: Tensor, random: Random): unknown {
  const shape = [...tensor.shape];
  const d = random.integer(0, Math.max(0, shape.length - 1));
  switch (random.integer(0, 8)) {
    case 0:
      shape[d] = (shape[d] ?? 0) + random.pick([1, 2, 16]);
      return device.empty(shape, tensor.dtype);
    case 1:
      shape[d] = random.pick([0, 0, Math.max(0, (shape[d] ?? 1) - 1)]);
      return device.empty(shape, tensor.dtype);
    case 2:
      return device.empty(
        shape,
        random.pick(['bf16', 'f16', 'f32', 'e4m3', 'u8', 'i32', 'i64'] as const),
      );
    case 3:
      return device.empty([...shape, 1], tensor.dtype);
    case 4:
      return device.empty(shape.slice(1), tensor.dtype);
    case 5:
      return other.empty(shape, tensor.dtype);
    case 6: {
      // Every stride doubled: the last dimension is no longer contiguous.
      const strides = tensor.strides.map((stride) => stride * 2);
      const span = shape.reduce((sum, n, at) => sum + n * (strides[at] ?? 0), 1);
      return device.empty([span], tensor.dtype).asStrided(shape, strides);
    }
    case 7: {
      const gone = device.empty(shape, tensor.dtype);
      gone.dispose();
      return gone;
    }
    default:
      return [...shape];
  }
}

function spoil(options: Options, random: Random): string[] {
  const changed: string[] = [];
  for (let n = random.pick([1, 1, 1, 2, 3]); n > 0; n--) {
    const key = random.pick([...Object.keys(options), 'surprise']);
    const value = options[key];
    changed.push(key);
    if (random.chance(0.15)) delete options[key];
    else if (isTensor(value) && random.chance(0.6)) options[key] = spoiled(value, random);
    else options[key] = junkValue(random);
  }
  return changed;
}

/** A single value of a wrong type is blamed itself; a count or a gap may clash with other arguments. */
function expectBlame(error: unknown, changed: readonly string[], options: Options): void {
  const [key = ''] = changed;
  const value = options[key];
  const mayClash = value === undefined || value === null || Number.isInteger(value);
  if (changed.length > 1 || mayClash || isTensor(value) || key === 'options') return;
  expect((error as InvalidArgumentError).argument).toContain(key);
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'asStrided' in value;
}

describe('malformed arguments end in a typed error that names the argument', () => {
  it.each(subjects.map((subject) => [subject.name, subject] as const))('%s', async (_, subject) => {
    const outcomes = new Outcomes();
    const random = new Random(`fuzz ${subject.name}`);
    // Everything made for a call is freed after it, whoever made it.
    const [empties, others] = [freeing(device), freeing(other)];
    try {
      subject.call(subject.valid());
      await device.synchronize();
      for (let i = 0; outcomes.refused < 2000; i++) {
        empties.free();
        others.free();
        const options = subject.valid();
        const changed = spoil(options, random);
        const before = device.memoryStats().allocated;
        try {
          subject.call(options);
          outcomes.accept();
        } catch (error) {
          outcomes.refuse(error, () => `call ${i} with ${changed.join(', ')} changed`);
          expectBlame(error, changed, options);
          expect(device.memoryStats().allocated, `memory after call ${i}`).toBe(before);
        }
        if (i % 50 === 0) await device.synchronize().catch(() => {});
      }
    } finally {
      empties.restore();
      others.restore();
    }
    outcomes.expectSpread(2000, 5);
    await device.synchronize().catch(() => {});
  });

  it.each([undefined, null, 0, 'x', Symbol('s'), () => 1, [], new Map()])(
    'options %s',
    (options) => {
      for (const { call } of subjects.slice(0, 9)) {
        try {
          call(options as never);
          throw new Error('accepted');
        } catch (error) {
          new Outcomes().refuse(error, () => `options ${String(options)}`);
        }
      }
    },
  );
});

/** Remembers the allocations of a device, to give them back between calls. */
function freeing(on: Device) {
  const { backend } = on;
  const allocate = backend.allocate.bind(backend);
  const release = backend.release.bind(backend);
  const live = new Set<Parameters<typeof release>[0]>();
  backend.allocate = (bytes) => {
    const buffer = allocate(bytes);
    live.add(buffer);
    return buffer;
  };
  backend.release = (buffer) => {
    if (live.delete(buffer)) release(buffer);
  };
  const free = () => {
    for (const buffer of live) release(buffer);
    live.clear();
  };
  return {
    free,
    restore: () => {
      free();
      Object.assign(backend, { allocate, release });
    },
  };
}
