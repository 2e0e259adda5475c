import { FlashMlaError } from '@flash-mla/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Device, openDevice } from '../../../index.ts';
import { type CaseParams, generateProblem, type Problem, runProblem } from '../../cases.ts';
import { compare } from '../../conformance/compare.ts';
import { referenceAnswers, toleranceOf } from '../../conformance/kinds.ts';
import { type Answers, answerNames } from '../../conformance/problem.ts';
import { Random } from '../../conformance/suite/random.ts';
import type { HostTensor } from '../../reference.ts';

let device: Device;
let checked: Device;
beforeAll(async () => {
  device = await openDevice('cpu', { threads: 2 });
  checked = await openDevice('cpu', { threads: 2, debug: true });
});
afterAll(async () => {
  await device.dispose();
  await checked.dispose();
});

const wild = [
  -1,
  0,
  1,
  5,
  63,
  64,
  1000,
  2 ** 20,
  2 ** 30,
  2147480000,
  2 ** 31 - 1,
  -(2 ** 31),
  -12345,
];

/** Every length, offset, block number and index of a problem may become any number. */
function withWildValues(problem: Problem, random: Random): Problem {
  const spoil = (tensor: HostTensor<'i32'>): HostTensor<'i32'> => ({
    ...tensor,
    data: tensor.data.map((n) => (random.chance(0.3) ? random.pick(wild) : n)),
  });
  const entries = Object.entries(problem).map(([key, value]) => {
    if (isI32(value)) return [key, spoil(value)];
    if (key === 'extra' && value) {
      const { indices, topkLength, ...cache } = value;
      return [
        key,
        { ...cache, indices: spoil(indices), topkLength: topkLength && spoil(topkLength) },
      ];
    }
    return [key, value];
  });
  return Object.fromEntries(entries) as Problem;
}

function isI32(value: unknown): value is HostTensor<'i32'> {
  return typeof value === 'object' && value !== null && 'dtype' in value && value.dtype === 'i32';
}

function expectRight(problem: Problem, answers: Answers): void {
  const expected = referenceAnswers(problem);
  for (const name of answerNames) {
    const [actual, values] = [answers[name], expected[name]];
    if (!actual || !values) continue;
    const tolerance = toleranceOf(problem.op, name, actual.dtype);
    const comparison = compare(name, 'reference', actual, values, tolerance);
    expect(comparison).toMatchObject({ pass: true, firstBad: null });
  }
}

const shapes: readonly CaseParams[] = [
  {
    op: 'dense-decode',
    b: 5,
    sQ: 2,
    sK: 70,
    hQ: 4,
    hKv: 2,
    varlen: true,
    causal: true,
    dQk: 64,
    dV: 64,
    page: 16,
  },
  {
    ...{ op: 'sparse-decode', layout: 'v32', b: 4, sQ: 2, hQ: 4 },
    cache: { sK: 40, topk: 24, page: 16, lengths: true },
    extra: { sK: 40, topk: 16, page: 3, lengths: true },
  },
  {
    ...{ op: 'sparse-decode', layout: 'model1', b: 4, sQ: 1, hQ: 3 },
    cache: { sK: 40, topk: 24, page: 5, lengths: true },
  },
  { op: 'sparse-prefill', sQ: 6, sKv: 40, topk: 24, hQ: 4, dQk: 512, lengths: true },
  { op: 'varlen-attention', b: 4, sQ: 9, sK: 30, hQ: 4, hKv: 2, dQk: 64, dV: 48, causal: true },
  {
    op: 'cache-attention',
    b: 4,
    sQ: 2,
    sK: 30,
    hQ: 4,
    hKv: 2,
    dQk: 64,
    dV: 48,
    page: 4,
    causal: true,
  },
  { op: 'cache-attention', b: 4, sQ: 2, sK: 30, hQ: 4, hKv: 2, dQk: 64, dV: 48 },
];

/**
 * Values on the device cannot be checked before a call. Whatever they are, the device ends its work: with
 * the results that the reference says they have, or, where offsets fall, with any or with debug mode's
 * typed error. It works on afterwards.
 */
it.each(shapes.map((params) => [params.op, params] as const))(
  'wild lengths, offsets, blocks and indices do not harm the device: %s',
  async (_, params) => {
    const good = generateProblem('values', params as never);
    const { answers: before } = await runProblem(device, good);
    const random = new Random(`fuzz ${JSON.stringify(params)}`);
    const isDefined = params.op !== 'varlen-attention';
    for (let i = 0; i < 60; i++) {
      const on = i % 2 === 0 ? device : checked;
      const metadata = i % 3 === 0 ? 'tensors' : 'object';
      const problem = withWildValues(good, random);
      try {
        const { answers } = await runProblem(on, problem, { metadata, deterministic: i % 4 < 2 });
        if (isDefined) expectRight(problem, answers);
      } catch (error) {
        if (isDefined) throw error;
        expect(error, error instanceof Error ? error.stack : '').toBeInstanceOf(FlashMlaError);
      }
      await on.synchronize().catch(() => {});
    }
    for (const on of [device, checked]) {
      const { answers: after } = await runProblem(on, good);
      expect(after.out?.data).toEqual(before.out?.data);
    }
  },
);
