import { describe, expect, it } from 'vitest';
import { threadScale } from './thread-scale.ts';

describe('threadScale', () => {
  it('has a position for each thread of the machine, and for what a link asks beyond them', () => {
    expect(threadScale(4, 0)).toEqual([1, 2, 3, 4]);
    expect(threadScale(4, 3)).toEqual([1, 2, 3, 4]);
    expect(threadScale(2, 64)).toEqual([1, 2, 64]);
  });
});
