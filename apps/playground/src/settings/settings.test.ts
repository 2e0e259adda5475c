import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { initialSettings, readSettings, type Settings, scales, writeSettings } from './settings.ts';

const anySettings = fc.record({
  device: fc.constantFrom('auto', 'webgpu', 'cpu'),
  limits: fc.constantFrom('all', 'default'),
  threads: fc.integer({ min: 0, max: 64 }),
  temperature: fc.constantFrom(...scales.temperature),
  answer: fc.constantFrom(...scales.answer),
  seed: fc.integer({ min: 0, max: 999_999 }),
  layout: fc.constantFrom('bf16', 'v32', 'model1'),
  batch: fc.constantFrom(...scales.batch),
  heads: fc.constantFrom(...scales.heads),
  tokens: fc.constantFrom(...scales.tokens),
  spread: fc.constantFrom(...scales.spread),
  topk: fc.constantFrom(...scales.topk),
  page: fc.constantFrom(...scales.page),
  example: fc.constantFrom('dense_varlen', 'prefill_512'),
  suite: fc.constantFrom('quick', 'full'),
  filter: fc.string({ maxLength: 100 }),
}) as fc.Arbitrary<Settings>;

describe('settings in a link', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(anySettings, (settings) => {
        expect(readSettings(writeSettings(settings))).toEqual({ settings, problems: [] });
      }),
    );
  });

  it('leave nothing in the link where all are the defaults', () => {
    expect(writeSettings(initialSettings)).toBe('');
    expect(writeSettings({ ...initialSettings, heads: 128 })).toBe('?heads=128');
  });

  it('say what means nothing and keep the default', () => {
    const { settings, problems } = readSettings('?heads=17&batch=8&threads=-1&colour=red');
    expect(settings).toEqual({ ...initialSettings, batch: 8 });
    expect(problems).toEqual([
      `heads is “17” instead of ${scales.heads.join(', ')}`,
      'threads is “-1” instead of an integer from 0 to 64',
      'there is no setting “colour”',
    ]);
  });

  it('never throw, whatever the link says', () => {
    fc.assert(fc.property(fc.string(), (query) => void readSettings(query)));
  });
});
