import { expect, it } from 'vitest';
import { permutation, scattered, uniform } from './random.ts';

it('scattered tokens are different, in range, and the newest is among them', () => {
  const next = uniform(1);
  for (const [count, length] of [
    [1, 1],
    [4, 2],
    [3, 8],
    [64, 65],
    [500, 1000],
  ] as const) {
    const tokens = scattered(count, length, next);
    expect(tokens).toHaveLength(Math.min(count, length));
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(tokens[0]).toBe(length - 1);
    expect(tokens.every((token) => token >= 0 && token < length)).toBe(true);
  }
});

it('a permutation has every number once', () => {
  expect(permutation(20, uniform(2)).sort((a, b) => a - b)).toEqual(permutation(20, () => 0.99));
});
