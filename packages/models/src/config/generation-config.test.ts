import { describe, expect, it } from 'vitest';
import { talesText } from '../testing/data.ts';
import { defaultGenerationConfig, parseGenerationConfig } from './generation-config.ts';

describe('parseGenerationConfig', () => {
  it('is greedy unless the model is to sample', () => {
    const { eosTokenIds, ...rest } = parseGenerationConfig(talesText('generation_config.json'));
    expect(eosTokenIds).toEqual([1]);
    expect({ ...rest, eosTokenIds: undefined }).toEqual(defaultGenerationConfig);
    expect(parseGenerationConfig('{ "temperature": 0.6 }').temperature).toBe(0);
  });

  it('takes what the authors suggest', () => {
    const text = '{ "do_sample": true, "top_p": 0.95, "top_k": 20, "eos_token_id": [3, 1] }';
    expect(parseGenerationConfig(text)).toEqual({
      eosTokenIds: [3, 1],
      temperature: 1,
      topK: 20,
      topP: 0.95,
      minP: 0,
      repetitionPenalty: 1,
    });
  });

  it.each(['{ "top_p": 2 }', '{ "do_sample": "yes" }', '[]', '{'])('refuses %s', (text) => {
    expect(() => parseGenerationConfig(text)).toThrow(
      expect.objectContaining({ name: 'ModelConfigError' }),
    );
  });
});
