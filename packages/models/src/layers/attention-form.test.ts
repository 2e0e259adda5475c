import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config/parse-config.ts';
import { tinyConfig } from '../testing/data.ts';
import { attentionForm } from './attention-form.ts';

describe('attentionForm', () => {
  const { attention } = parseConfig(tinyConfig('deepseek-v3'));

  it('expands prompts, and absorbs single tokens behind a long context', () => {
    expect(attentionForm(attention, 0, 1000)).toBe('expanded');
    expect(attentionForm(attention, 1000, 1)).toBe('absorbed');
    expect(attentionForm(attention, 8192, 16)).toBe('absorbed');
    expect(attentionForm(attention, 8192, 1024)).toBe('expanded');
  });
});
