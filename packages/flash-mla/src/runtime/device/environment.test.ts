import { afterEach, describe, expect, it, vi } from 'vitest';
import { environmentFlag } from './environment.ts';

describe('environmentFlag', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each([
    ['1', true],
    ['true', true],
    ['yes', true],
    ['', false],
    ['0', false],
    ['false', false],
    ['False ', false],
    ['off', false],
    ['no', false],
    [undefined, false],
  ])('%j: %s', (value, expected) => {
    vi.stubEnv('FLASH_MLA_DEBUG', value);
    expect(environmentFlag('FLASH_MLA_DEBUG')).toBe(expected);
  });
});
