import { parametersOf, parseConfig } from '@flash-mla/models';
import { describe, expect, it } from 'vitest';
import { tinyConfig } from '../../../../models/src/testing/data.ts';
import { openDevice } from '../../open-device.ts';
import { HiSparseBench } from './measure-hisparse.ts';
import { ModelBench } from './measure-model.ts';
import { stepCost } from './roofline.ts';
import { modelShapes } from './shapes.ts';

const shape = (name: string, layers?: number) =>
  parseConfig(
    JSON.stringify({
      ...modelShapes[name],
      ...(layers !== undefined && { num_hidden_layers: layers }),
    }),
  );

describe('shapes', () => {
  it.each([
    ['moonlight-16b-a3b', 15.96],
    ['glm-4.7-flash', 29.94],
    ['youtu-2b', 1.96],
    ['deepseek-v2-lite', 15.71],
    ['minicpm3-4b', 4.07],
    // 671.03 of DeepSeek V3, and 61 indexers.
    ['deepseek-v3.2', 671.88],
  ])('of %s are those of %d billion parameters', (name, billions) => {
    expect(parametersOf(shape(name)).total / 1e9).toBeCloseTo(billions, 2);
  });
});

describe('the cost of a step', () => {
  // Tokens a second that 4.37 TB/s allow, with 1024 tokens before.
  it.each([
    ['moonlight-16b-a3b', 1, 842],
    ['moonlight-16b-a3b', 8, 1900],
    ['moonlight-16b-a3b', 32, 4506],
    ['moonlight-16b-a3b', 128, 15834],
    ['glm-4.7-flash', 1, 606],
    ['glm-4.7-flash', 32, 2591],
  ])('bounds %s at batch %d by %d tokens a second', (name, b, tokensPerSecond) => {
    const { bytes } = stepCost(shape(name), b, 1, 1024);
    expect((b * 4.37e12) / bytes / tokensPerSecond).toBeCloseTo(1, 2);
  });

  it('counts prompts by their products', () => {
    // 2.24 billion parameters of the layers are active for each token.
    const { flops } = stepCost(shape('moonlight-16b-a3b'), 8, 1024, 0);
    expect(flops / 8192 / 2e9).toBeCloseTo(2.24, 1);
  });
});

describe('ModelBench', () => {
  const config = {
    ...shape('moonlight-16b-a3b', 2),
    ...{ hiddenSize: 128, vocabSize: 256, intermediateSize: 128 },
  };
  const moe = config.moe && { ...config.moe, numExperts: 8, intermediateSize: 64 };
  const small = { ...config, moe: moe && { ...moe, sharedIntermediateSize: 128 } };

  it('measures steps on the processor and frees everything', async () => {
    await using device = await openDevice('cpu');
    {
      using bench = new ModelBench(device, small);
      for (const phase of ['decode', 'prefill'] as const) {
        const times = await bench.measure({ phase, b: 2, context: 70 }, { seconds: 0 });
        expect(times.steps).toBeGreaterThanOrEqual(4);
        expect(times.min).toBeGreaterThan(0);
        expect(times.median).toBeGreaterThanOrEqual(times.min);
        expect(times.tokensPerSecond).toBeGreaterThan(0);
      }
    }
    expect(device.memoryStats().allocated).toBe(0);
  });
});

describe('HiSparseBench', () => {
  it.each([
    ['deepseek-v32', 'fp8', 'repeated'],
    ['glm-moe-dsa', 'bf16', 'drawn'],
  ] as const)(
    'measures %s with rows of %s with HiSparse and without',
    async (name, kvCacheDType, tokens) => {
      const config = parseConfig(tinyConfig(name));
      const problem = {
        ...{ context: 200, deviceBytes: 2.2e6, deviceBufferSize: 64, swapInBlockSize: 64 },
        ...{ kvCacheDType, tokens },
      };
      await using device = await openDevice('cpu');
      {
        using bench = new HiSparseBench(device, config, 32);
        const without = await bench.measure(problem, false, { seconds: 0 });
        const hot = await bench.measure(problem, true, { seconds: 0 });
        expect(hot.requests).toBeGreaterThan(without.requests);
        for (const each of [without, hot]) {
          expect(each.requests).toBe(bench.sizes(problem, each === hot).requests);
          expect(each.deviceBytes).toBeLessThanOrEqual(problem.deviceBytes);
          expect(each.times.tokensPerSecond).toBeGreaterThan(0);
        }
        expect(without).toMatchObject({ hostBytes: 0, hits: 0, misses: 0, bytesPerStep: 0 });
        // Three layers choose 32 tokens of each sequence in each step.
        expect(hot.hits + hot.misses).toBe(3 * 32 * hot.requests * hot.times.steps);
        expect(hot.misses).toBeGreaterThan(0);
        const rowBytes = kvCacheDType === 'fp8' ? 656 : 1152;
        expect(hot.bytesPerStep * hot.times.steps).toBe(hot.misses * rowBytes);
      }
      expect(device.memoryStats().allocated).toBe(0);
    },
  );
});
