import { encodeSafetensors, openSafetensors } from '@flash-mla/safetensors';
import { describe, expect, it } from 'vitest';
import { dataPath, talesFolder } from '../testing/data.ts';
import type { PromptCheck } from './check-answers.ts';
import { checkModel } from './check-model.ts';

async function check(bytes: Uint8Array): Promise<PromptCheck[]> {
  const answers = await openSafetensors(bytes);
  const checks: PromptCheck[] = [];
  for await (const one of checkModel(talesFolder, answers)) checks.push(one);
  return checks;
}

describe('checkModel', () => {
  it('finds recorded answers met, and says how far others are off', async () => {
    const recorded = await openSafetensors(dataPath('tales/reference.safetensors'));
    const ids = await recorded.read('0.input_ids', 'i32');
    const logits = await recorded.read('0.logits', 'f32');
    const { data: greedy } = await recorded.read('0.greedy', 'i32');
    await recorded.close();
    const answer = (data: Float32Array, tokens: Int32Array) => ({
      'i.input_ids': ids,
      'i.logits': { ...logits, data },
      'i.greedy': { dtype: 'i32' as const, shape: [tokens.length], data: tokens },
    });
    const changed = logits.data.slice();
    // Of the last position compared, the likeliest token becomes the least likely one.
    const last = changed.subarray(-2048);
    const best = last.indexOf(Math.max(...last));
    last[best] = (last[best] as number) - 40;
    const others = greedy.slice(0, 6);
    others[3] = 2;
    const tensors: Record<string, ReturnType<typeof answer>['i.logits' | 'i.input_ids']> = {};
    for (const [i, tested] of [
      answer(logits.data, greedy.slice(0, 6)),
      answer(changed, others),
    ].entries()) {
      for (const [name, tensor] of Object.entries(tested))
        tensors[name.replace('i', `${i}`)] = tensor;
    }
    const [right, wrong] = await check(await encodeSafetensors(tensors));
    expect(right).toMatchObject({ positions: 8, bestAgree: 8, greedyAgree: 6, greedyTokens: 6 });
    expect(right?.maxError).toBeLessThan(2e-4);
    expect(right?.maxDivergence).toBeLessThan(1e-6);
    expect(right?.greedyGap).toBeUndefined();
    expect(wrong).toMatchObject({ bestAgree: 7, bestDisagreeClearly: 1, greedyAgree: 3 });
    expect(wrong?.maxError).toBeCloseTo(40, 2);
    expect(wrong?.greedyGap).toBeGreaterThan(1);
  });

  it('refuses answers of another model', async () => {
    const tensors = {
      '0.input_ids': { dtype: 'i32', shape: [1], data: Int32Array.of(4000) },
      '0.logits': { dtype: 'f32', shape: [1, 512], data: new Float32Array(512) },
      '0.greedy': { dtype: 'i32', shape: [1], data: Int32Array.of(1) },
    } as const;
    await expect(check(await encodeSafetensors(tensors))).rejects.toThrow(
      /recorded with this model/,
    );
  });
});
