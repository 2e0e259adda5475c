import { parametersOf, parseConfig } from '@flash-mla/models';
import { describe, expect, it } from 'vitest';
import { openDevice } from '../../open-device.ts';
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
