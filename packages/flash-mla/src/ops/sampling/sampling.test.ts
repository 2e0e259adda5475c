import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Device, openDevice, sampleTokens } from '../../index.ts';
import {
  type RecordingBackend,
  recordingDevice,
} from '../attention/api/testing/recording-backend.ts';
import { expectRefusal } from '../attention/api/testing/refusal.ts';
import { runConformance } from '../cases.ts';
import { type Fault, faultyDevice } from '../conformance/testing/faulty-backend.ts';
import { randomAt } from './philox.ts';

describe('the arguments of sampleTokens', () => {
  let device: Device;
  let backend: RecordingBackend;
  beforeEach(() => {
    ({ device, backend } = recordingDevice());
  });

  const valid = (d: Device) => ({
    ...{ logits: d.empty([3, 100], 'f32'), temperature: d.empty([3], 'f32') },
    ...{ seeds: d.empty([3], 'i64'), positions: d.empty([3], 'i32') },
  });

  it('give tokens and log-probabilities', () => {
    const { tokens, logprobs, topTokens } = sampleTokens({ logits: valid(device).logits });
    expect([tokens.dtype, tokens.shape, logprobs.shape, topTokens]).toEqual([
      'i32',
      [3],
      [3],
      undefined,
    ]);
    const top = sampleTokens({ ...valid(device), numTopLogprobs: 4 });
    expect([top.topTokens?.shape, top.topLogprobs?.shape]).toEqual([
      [3, 4],
      [3, 4],
    ]);
    sampleTokens({ logits: device.empty([0, 100], 'f32') });
    expect(backend.calls).toHaveLength(2);
  });

  it.each<[string, string, (d: Device) => object]>([
    ['logits', 'of another dtype', (d) => ({ logits: d.empty([3, 100], 'f16') })],
    ['logits.shape[1]', 'of no tokens', (d) => ({ logits: d.empty([3, 0], 'f32') })],
    ['temperature', 'of another length', (d) => ({ temperature: d.empty([4], 'f32') })],
    ['seeds', 'missing', () => ({ seeds: undefined })],
    ['positions', 'of another dtype', (d) => ({ positions: d.empty([3], 'i64') })],
    ['topK', 'of another dtype', (d) => ({ topK: d.empty([3], 'f32') })],
    ['bias', 'of another shape', (d) => ({ bias: d.empty([3, 99], 'f32') })],
    ['allowed', 'of another width', (d) => ({ allowed: d.empty([3, 3], 'i32') })],
    ['inSequence', 'missing', (d) => ({ repetitionPenalty: d.empty([3], 'f32') })],
    ['generated', 'missing', (d) => ({ presencePenalty: d.empty([3], 'f32') })],
    ['numTopLogprobs', 'too many', () => ({ numTopLogprobs: 65 })],
    ['tokens', 'of another dtype', (d) => ({ tokens: d.empty([3], 'i64') })],
    ['topp', 'misspelt', () => ({ topp: 1 })],
  ])('%s %s is refused', (argument, _, change) => {
    const options = { ...valid(device), ...change(device) };
    expectRefusal(backend, () => sampleTokens(options as never), argument);
  });
});

it('random numbers are those of Philox 4×32-10', () => {
  // The known answers of the paper's implementation for a counter and a key of zeros.
  expect(randomAt(0n, 0)).toBe(((0x6627e8d5 >>> 5) * 2 ** 26 + (0xe169c58d >>> 6)) / 2 ** 53);
  expect(randomAt(1n, 0)).not.toBe(randomAt(1n << 32n, 0));
});

describe('tokens that are drawn', () => {
  let cpu: Device;
  beforeAll(async () => {
    cpu = await openDevice('cpu');
  });
  afterAll(() => cpu.dispose());

  it('are as frequent as they are likely, and the same whatever the neighbours', async () => {
    const rows = 4000;
    const probabilities = [0.5, 0.3, 0.15, 0.05];
    const logits = Float32Array.from({ length: rows * 4 }, (_, i) =>
      Math.log(probabilities[i % 4] as number),
    );
    const draw = async (from: number, count: number) => {
      const { tokens } = sampleTokens({
        logits: cpu.tensor(logits.subarray(0, count * 4), [count, 4], 'f32'),
        temperature: cpu.tensor(new Float32Array(count).fill(1), [count], 'f32'),
        seeds: cpu.tensor(new BigInt64Array(count).fill(42n), [count], 'i64'),
        positions: cpu.tensor(
          Int32Array.from({ length: count }, (_, i) => from + i),
          [count],
          'i32',
        ),
      });
      return tokens.read();
    };
    const tokens = await draw(0, rows);
    probabilities.forEach((p, token) => {
      const share = tokens.filter((drawn) => drawn === token).length / rows;
      expect(Math.abs(share - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / rows));
    });
    expect(await draw(100, 7)).toEqual(tokens.subarray(100, 107));
  });

  it.each<[string, (args: object) => object]>([
    ['ignores the temperature', (args) => ({ ...args, temperature: undefined })],
    ['ignores top k', (args) => ({ ...args, topK: undefined })],
    ['ignores top p', (args) => ({ ...args, topP: undefined })],
    ['ignores min p', (args) => ({ ...args, minP: undefined })],
    ['allows every token', (args) => ({ ...args, allowed: undefined })],
    ['ignores the bias', (args) => ({ ...args, bias: undefined })],
    ['does not penalise repetition', (args) => ({ ...args, repetitionPenalty: undefined })],
    ['does not penalise frequency', (args) => ({ ...args, frequencyPenalty: undefined })],
  ])('are wrong on a device that %s', async (_, change) => {
    const faulty = faultyDevice(cpu, { sampleTokens: change } as Fault);
    const failed: string[] = [];
    for await (const { status, name } of runConformance(faulty, { filter: 'sample-tokens' })) {
      if (status === 'failed') failed.push(name);
    }
    expect(failed.length).toBeGreaterThan(0);
  });
});
