import { describe, expect, it } from 'vitest';
import type { Capabilities } from '../../../runtime/webgpu/runtime/limits.ts';
import { gpuTuning, nvidiaTuning } from '../../../runtime/webgpu/runtime/tuning.ts';
import { compareAnswers } from '../../../runtime/webgpu/testing/compare-answers.ts';
import { openAdjusted } from '../../../runtime/webgpu/testing/open.ts';
import { useSwiftShader } from '../../../runtime/webgpu/testing/swiftshader.ts';
import {
  type Answers,
  answerNames,
  type CaseParams,
  generateProblem,
  runConformance,
  runProblem,
} from '../../cases.ts';

const absent = useSwiftShader();
const why = absent ? `, skipped: ${absent}` : '';

type Adjust = (capabilities: Capabilities) => Capabilities;
type Params = Exclude<CaseParams, { op: 'schedule' }>;

async function run(params: Params, adjust: Adjust, seed = 'webgpu'): Promise<Answers> {
  const { device } = await openAdjusted(adjust);
  try {
    const problem = generateProblem(seed, params);
    return (await runProblem(device, problem, { gap: params.gap })).answers;
  } finally {
    await device.dispose();
  }
}

function sameBits(one: Answers, other: Answers): boolean {
  const bytes = (answers: Answers, name: (typeof answerNames)[number]) => {
    const { buffer, byteOffset, byteLength } = answers[name]?.data ?? new Uint8Array(0);
    return Buffer.from(buffer, byteOffset, byteLength);
  };
  return answerNames.every((name) => bytes(one, name).equals(bytes(other, name)));
}

const spread: readonly Params[] = [
  { op: 'dense-decode', b: 2, sQ: 2, sK: 200, hQ: 16, hKv: 2, varlen: true, causal: true },
  { op: 'dense-decode', b: 2, sQ: 1, sK: 200, hQ: 2, hKv: 1, varlen: true, dtype: 'e4m3' },
  {
    ...{ op: 'sparse-decode', layout: 'v32', b: 2, sQ: 1, hQ: 16, sink: 'finite' },
    cache: { sK: 300, topk: 200, page: 64 },
    extra: { sK: 100, topk: 64, page: 16, lengths: true },
  },
  {
    ...{ op: 'sparse-decode', layout: 'model1', b: 2, sQ: 2, hQ: 4 },
    cache: { sK: 300, topk: 200, page: 61, lengths: true },
  },
  { op: 'sparse-prefill', sQ: 5, sKv: 200, topk: 128, hQ: 16, dQk: 576, lengths: true },
  {
    ...{ op: 'varlen-attention', b: 3, sQ: 20, sK: 70, hQ: 4, hKv: 2, causal: true },
    ...{ dQk: 72, dV: 40, dtype: 'f16' },
  },
];

describe.skipIf(absent)(`the same bits${why}`, () => {
  it.each(spread.map((params) => [params.op, params] as const))(
    '%s: without quad operations as with them, whatever the subgroups',
    async (_, params) => {
      const withQuads = await run(params, (capabilities) => capabilities);
      const without = await run(params, (capabilities) => ({ ...capabilities, quads: false }));
      expect(sameBits(without, withQuads)).toBe(true);
    },
  );

  it('e4m3 decoded through halves or from its bits', async () => {
    for (const params of spread.slice(1, 4)) {
      const half = await run(params, (capabilities) => ({ ...capabilities, halfSubnormals: true }));
      const exact = await run(params, (capabilities) => ({
        ...capabilities,
        halfSubnormals: false,
      }));
      expect(sameBits(exact, half)).toBe(true);
    }
  });
});

describe.skipIf(absent)(`right answers${why}`, () => {
  it.each(spread.map((params) => [params.op, params] as const))(
    '%s: from the kernels of a GPU, unrolled and in many parts',
    async (_, params) => {
      const answers = await run(params, (capabilities) => ({ ...capabilities, tuning: gpuTuning }));
      expect(compareAnswers(params, answers)).toEqual([]);
    },
  );

  // Rows of 576 with 16 of the output would take more workgroup memory than SwiftShader has.
  it.each<[number, number, 'bf16' | 'f16', boolean]>([
    [192, 128, 'bf16', true],
    [72, 40, 'f16', false],
  ])(
    'dense attention %i/%i: from the kernels of NVIDIA, all 16 rows in registers',
    async (dQk, dV, dtype, causal) => {
      const params: Params = {
        ...{ op: 'varlen-attention', b: 3, sQ: 20, sK: 200, hQ: 4, hKv: 2, causal },
        ...{ dQk, dV, dtype },
      };
      const answers = await run(params, (capabilities) => ({
        ...capabilities,
        tuning: nvidiaTuning,
      }));
      expect(compareAnswers(params, answers)).toEqual([]);
    },
  );

  // Bindings of 2 MiB in buffers of 4 MiB: what a cache of 500 GB is to a large GPU.
  const small: Adjust = (capabilities) => ({
    ...capabilities,
    bindingBytes: 2 ** 21,
    bufferBytes: 2 ** 22,
  });
  it.each<[string, Params]>([
    ['a cache', { op: 'dense-decode', b: 2, sQ: 1, sK: 3000, hQ: 2, hKv: 1, varlen: true }],
    [
      'rows that begin anywhere',
      { op: 'dense-decode', b: 1, sQ: 1, sK: 3000, hQ: 1, hKv: 1, gap: 1 },
    ],
    [
      'two caches',
      {
        ...{ op: 'sparse-decode', layout: 'v32', b: 1, sQ: 1, hQ: 4 },
        cache: { sK: 4000, topk: 300, page: 64 },
        extra: { sK: 4000, topk: 100, page: 16 },
      },
    ],
    [
      'queries and outputs of a prefill',
      { op: 'sparse-prefill', sQ: 260, sKv: 60, topk: 8, hQ: 16, dQk: 576, lengths: true },
    ],
    ['rows to quantise', { op: 'quantize', layout: 'model1', blocks: 100, page: 64 }],
    [
      'a packed cache to append to',
      { op: 'append', layout: 'model1', blocks: 125, page: 64, rows: 300, gap: 1 },
    ],
    [
      'a plain cache to append to, and its rows',
      { op: 'append', layout: 'bf16', blocks: 55, page: 69, rows: 2000, longSlots: true },
    ],
    [
      'bytes to append',
      { op: 'append', layout: 'e4m3', blocks: 110, page: 69, rows: 300, dQk: 575, gap: 1 },
    ],
    ['rows to dequantise', { op: 'dequantize', layout: 'v32', blocks: 100, page: 64 }],
  ])('for %s in several bindings', async (_, params) => {
    expect(compareAnswers(params, await run(params, small))).toEqual([]);
  });

  it('with as few bindings as the specification promises', async () => {
    const params = spread[2] as Params;
    const answers = await run(params, (capabilities) => ({ ...capabilities, storageBuffers: 8 }));
    expect(compareAnswers(params, answers)).toEqual([]);
  });

  it('says what does not fit', async () => {
    const { device } = await openAdjusted((capabilities) => ({
      ...capabilities,
      bindingBytes: 2 ** 19,
      bufferBytes: 2 ** 20,
    }));
    const results = [];
    for await (const result of runConformance(device, {
      filter: 'dense-decode b=2 sQ=1 sK=140 hQ=128 hKv=1 varlen',
    })) {
      results.push(result);
    }
    await device.dispose();
    expect(results[0]?.message).toMatch(
      /InvalidArgumentError: q: expected partial results of at most 524288 bytes/,
    );
  });
});
