import { createHash } from 'node:crypto';
import { decodeElements } from '@flash-mla/core';
import { describe, expect, it } from 'vitest';
import { generateProblem } from '../../cases.ts';
import { normalCodes, Random } from './random.ts';

describe('Random', () => {
  it('is the same everywhere: changing it changes every case', () => {
    const random = new Random('a name');
    expect([
      random.bits(),
      random.bits(),
      random.integer(0, 99),
      random.stream('x').bits(),
    ]).toEqual([386695642, 473718798, 46, 53982769]);
  });

  it('gives independent streams', () => {
    const base = new Random('base');
    const before = base.stream('a').bits();
    base.bits();
    expect(base.stream('a').bits()).toBe(before);
    expect(base.stream('b').bits()).not.toBe(before);
  });

  it('draws normal values', () => {
    const values = new Float32Array(100_000);
    new Random('normal').fill(values, 0, values.length, normalCodes('f32', 2));
    const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(variance - 4)).toBeLessThan(0.05);
    const within = values.filter((x) => Math.abs(x) < 2).length / values.length;
    expect(Math.abs(within - 0.6827)).toBeLessThan(0.005);
  });

  it('fills an odd stretch and nothing beside it', () => {
    const values = new Uint16Array(9).fill(0xffff);
    new Random('stretch').fill(values, 1, 7, normalCodes('bf16', 1, 1));
    expect([values[0], values[8]]).toEqual([0xffff, 0xffff]);
    const inner = decodeElements('bf16', values.subarray(1, 8));
    expect(inner.every((x) => Math.abs(x) <= 1)).toBe(true);
    expect(new Set(inner).size).toBeGreaterThan(3);
  });

  it('shuffles every value to every place', () => {
    const places = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const shuffled = new Random(`${i}`).shuffle([0, 1, 2, 3]);
      expect([...shuffled].sort()).toEqual([0, 1, 2, 3]);
      for (const [place, value] of shuffled.entries()) places.add(`${value} at ${place}`);
    }
    expect(places.size).toBe(16);
  });
});

describe('problems', () => {
  it('are the same in every run', () => {
    const problem = generateProblem('fixed', {
      ...{ op: 'sparse-decode', layout: 'v32', b: 3, sQ: 2, hQ: 4, varlen: true, sink: 'infinite' },
      cache: { sK: 50, topk: 20, page: 7, lengths: true },
    });
    const hash = createHash('sha256');
    for (const { data } of [problem.q, problem.kCache, problem.indices]) hash.update(data);
    expect(hash.digest('hex').slice(0, 16)).toBe('0a637ff40db3de5c');
  });

  it('poison every row that nobody reads, and no other', () => {
    const problem = generateProblem('poison', {
      ...{ op: 'sparse-decode', layout: 'bf16', b: 4, sQ: 2, hQ: 1, varlen: true },
      cache: { sK: 60, topk: 24, page: 7, lengths: true },
    });
    const { kCache, indices, topkLength } = problem;
    const capacity = (kCache.shape[0] ?? 0) * (kCache.shape[1] ?? 0);
    const used = new Set<number>();
    indices.data.forEach((slot, i) => {
      const length = topkLength?.data[Math.floor(i / 48)] ?? 0;
      if (i % 24 < length && slot >= 0 && slot < capacity) used.add(slot);
    });
    const values = decodeElements('bf16', kCache.data as Uint16Array);
    for (let slot = 0; slot < capacity; slot++) {
      const isPoison = values.subarray(slot * 576, (slot + 1) * 576).every(Number.isNaN);
      expect(isPoison).toBe(!used.has(slot));
    }
    expect(used.size).toBeGreaterThan(0);
    expect(used.size).toBeLessThan(capacity);
  });
});
