import { DeepSeekV32Format } from '@flash-mla/models';
import { expect, it } from 'vitest';
import { familyOf } from './family-of.ts';

it('knows the marks that DeepSeek V3.2 writes, which has no template', () => {
  expect(familyOf(new DeepSeekV32Format().source)).toBe('deepseek-v3.2');
});
