import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Device, openDevice, type Tensor } from '../../../index.ts';
import { encodeSafetensors, openSafetensors, selectCases } from '../../cases.ts';
import { Random } from '../suite/random.ts';
import { Outcomes } from './outcomes.ts';

let device: Device;
beforeAll(async () => {
  device = await openDevice('cpu', { threads: 1 });
});
afterAll(() => device.dispose());

const counts = [0, 1, 2, 3, 4, 12, 13, -1, -4, 0.5, 2 ** 33, 2 ** 40, 2 ** 53, Number.NaN, 1e300];
const words: unknown[] = [
  '3',
  '',
  null,
  undefined,
  true,
  3n,
  {},
  [],
  Symbol('s'),
  Number.POSITIVE_INFINITY,
];

function count(random: Random): unknown {
  return random.chance(0.85) ? random.pick(counts) : random.pick(words);
}

function list(random: Random): unknown {
  if (random.chance(0.1))
    return random.pick([null, undefined, 'abc', 3, {}, { length: 2 }, new Int32Array(2)]);
  return Array.from({ length: random.integer(0, 4) }, () => count(random));
}

const dtype = (random: Random) =>
  random.pick<unknown>([
    'bf16',
    'f32',
    'i32',
    'i64',
    'u8',
    'f64',
    '',
    null,
    undefined,
    3,
    '__proto__',
  ]);

/** Calls on the tensor interface with arguments that are sometimes right and mostly not. */
const calls: Readonly<Record<string, (tensor: Tensor, random: Random) => unknown>> = {
  tensor: (_, r) =>
    device.tensor(
      r.pick<unknown>([
        [1, 2, 3],
        new Float32Array(4),
        [1n],
        'abc',
        null,
        5,
        {},
        [Symbol('s')],
      ]) as never,
      list(r) as never,
      dtype(r) as never,
    ),
  empty: (_, r) => device.empty(list(r) as never, dtype(r) as never),
  emptyStrided: (_, r) =>
    device.emptyStrided(list(r) as never, list(r) as never, dtype(r) as never),
  slice: (t, r) => t.slice(count(r) as never, count(r) as never, count(r) as never),
  stride: (t, r) => t.stride(count(r) as never),
  asStrided: (t, r) => t.asStrided(list(r) as never, list(r) as never, count(r) as never),
  reshape: (t, r) => t.reshape(list(r) as never),
  write: (t, r) =>
    t.write(
      r.pick<unknown>([
        new Float32Array(12),
        new Float32Array(11),
        new ArrayBuffer(48),
        [1],
        null,
        'x',
      ]) as never,
    ),
  selectCases: (_, r) =>
    selectCases({
      suite: r.pick<unknown>(['quick', 'slow', 3]),
      shard: { index: count(r), count: count(r) },
    } as never),
};

it('4,000 malformed calls on tensors end in typed errors and leave nothing allocated', () => {
  const outcomes = new Outcomes();
  const random = new Random('fuzz tensors');
  const tensor = device.empty([3, 4], 'f32');
  for (let i = 0; outcomes.refused < 4000; i++) {
    const name = random.pick(Object.keys(calls));
    const before = device.memoryStats().allocated;
    try {
      const made = calls[name]?.(tensor, random);
      outcomes.accept();
      if (isTensor(made) && made.buffer !== tensor.buffer) made.dispose();
    } catch (error) {
      outcomes.refuse(error, () => `${name} (call ${i})`);
    }
    expect(device.memoryStats().allocated).toBe(before);
  }
  outcomes.expectSpread(4000, 10);
  expect(device.memoryStats().peak).toBeLessThan(2 ** 30);
  tensor.dispose();
});

it('500 malformed files to write and inputs to read end in typed errors', async () => {
  const outcomes = new Outcomes();
  const random = new Random('fuzz writing');
  while (outcomes.refused < 500) {
    const tensors = {
      [random.pick(['t', '__metadata__', ''])]: random.pick<unknown>([
        { dtype: dtype(random), shape: list(random), data: new Float32Array(4) },
        {
          dtype: 'f32',
          shape: [4],
          data: random.pick<unknown>([null, [1], 'x', new Float32Array(3)]),
        },
        null,
        3,
      ]),
    };
    const work = random.chance(0.7)
      ? encodeSafetensors(
          tensors as never,
          random.pick<unknown>([{}, { a: 1 }, { b: null }]) as never,
        )
      : openSafetensors(
          random.pick<unknown>([
            null,
            undefined,
            3,
            {},
            [],
            '/nowhere',
            new URL('file:///nowhere'),
            new Float32Array(2),
            '\0',
            new Blob(['x']),
          ]) as never,
        );
    await work.then(
      () => outcomes.accept(),
      (error: unknown) => outcomes.refuse(error, () => `writing ${String(Object.keys(tensors))}`),
    );
  }
});

it('opening devices that are not there ends in typed errors', async () => {
  const random = new Random('fuzz devices');
  const outcomes = new Outcomes();
  const specs = [
    'cpu:99',
    'CPU',
    'cpu:',
    'cpu:-1',
    'cpu:1e3',
    'tpu',
    '',
    ' cpu',
    'cpu:1000',
    3,
    null,
    {},
    [],
    'constructor',
    '__proto__',
  ];
  for (let i = 0; i < 100; i++) {
    const threads = random.pick<unknown>([0, -1, 65, 1.5, Number.NaN, '2', null, {}, 2 ** 31]);
    const bad = random.chance(0.5);
    const opening = bad
      ? openDevice(random.pick(specs) as never)
      : openDevice('cpu', { threads } as never);
    await opening.then(
      async (opened) => {
        outcomes.accept();
        await opened.dispose();
      },
      (error: unknown) =>
        outcomes.refuse(error, () => `openDevice ${bad ? 'spec' : `threads ${String(threads)}`}`),
    );
  }
  expect(outcomes.refused).toBeGreaterThan(60);
});

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'asStrided' in value;
}
