import { describe, expect, it } from 'vitest';
import type { RoutingConfig } from '../config/model-config.ts';
import { route } from './router.ts';

const softmax: RoutingConfig = {
  scores: 'softmax',
  biased: false,
  topK: 2,
  numGroups: 1,
  topGroups: 1,
  groupScore: 'best',
  normalize: false,
  scale: 1,
};
const sigmoid: RoutingConfig = {
  ...softmax,
  scores: 'sigmoid',
  biased: true,
  normalize: true,
  groupScore: 'two-best',
};
const logit = (p: number) => Math.log(p / (1 - p));

describe('route', () => {
  it('weighs by the probabilities over all experts', () => {
    const logits = Float32Array.from([0.1, 0.2, 0.3, 0.4], Math.log);
    const { experts, weights } = route(logits, undefined, { ...softmax, scale: 16 });
    expect(experts).toEqual([2, 3]);
    expect(weights[0]).toBeCloseTo(4.8, 5);
    expect(weights[1]).toBeCloseTo(6.4, 5);
  });

  it('chooses with the bias and weighs without it', () => {
    const logits = Float32Array.from([0.9, 0.8, 0.2, 0.1], logit);
    const bias = Float32Array.of(0, 0, 0, 5);
    const { experts, weights } = route(logits, bias, { ...sigmoid, scale: 2 });
    expect(experts).toEqual([0, 3]);
    expect(weights[0]).toBeCloseTo((0.9 / 1.0) * 2, 5);
    expect(weights[1]).toBeCloseTo((0.1 / 1.0) * 2, 5);
  });

  it('picks no expert of a group that is out, even where all scores are negative', () => {
    const logits = Float32Array.from([0.5, 0.5, 0.5, 0.5], logit);
    const bias = Float32Array.of(-3, -2.9, -2, -5);
    const groups = { ...sigmoid, numGroups: 2, topGroups: 1 };
    // Two best of each group: −4.9 and −6; the group with the best single expert is out.
    expect(route(logits, bias, groups).experts).toEqual([0, 1]);
    expect(route(logits, bias, { ...groups, groupScore: 'best' }).experts).toEqual([2, 3]);
  });

  it('takes the lower number of equal scores', () => {
    expect(route(new Float32Array(5), undefined, softmax).experts).toEqual([0, 1]);
  });
});
