import { describe, expect, it } from 'vitest';
import type { AttentionConfig } from '../config/model-config.ts';
import type { AttentionForm } from '../layers/operations.ts';
import { randomFloats } from '../testing/random-floats.ts';
import { matrix, type PlainMatrix } from './matrix.ts';
import { PlainOperations } from './plain-operations.ts';

const config: AttentionConfig = {
  numHeads: 3,
  qLoraRank: undefined,
  kvLoraRank: 20,
  nopeDim: 12,
  ropeDim: 8,
  vDim: 10,
  latentNormEps: 1e-6,
  softmaxScale: 0.3,
  bias: false,
  rope: { theta: 1e4, pairing: 'interleaved', scaling: { kind: 'none' } },
};
const ops = new PlainOperations();

function random(rows: number, columns: number, seed: number): PlainMatrix {
  return { rows, columns, data: randomFloats(rows * columns, seed) };
}

/** Attention of `count` tokens behind `start` others, in float64 and as the definition says. */
function naive(queries: PlainMatrix, keyValue: PlainMatrix, cache: PlainMatrix, start: number) {
  const { numHeads, kvLoraRank, nopeDim, ropeDim, vDim, softmaxScale } = config;
  const out: number[] = [];
  const up = (token: number, row: number) => {
    let sum = 0;
    for (let c = 0; c < kvLoraRank; c++) {
      const latent = cache.data[token * cache.columns + c] as number;
      sum += latent * (keyValue.data[row * kvLoraRank + c] as number);
    }
    return sum;
  };
  for (let i = 0; i < queries.rows; i++) {
    for (let head = 0; head < numHeads; head++) {
      const at = i * queries.columns + head * (nopeDim + ropeDim);
      const base = head * (nopeDim + vDim);
      const scores = Array.from({ length: start + i + 1 }, (_, token) => {
        let score = 0;
        for (let k = 0; k < nopeDim; k++)
          score += (queries.data[at + k] as number) * up(token, base + k);
        for (let k = 0; k < ropeDim; k++) {
          const key = cache.data[token * cache.columns + kvLoraRank + k] as number;
          score += (queries.data[at + nopeDim + k] as number) * key;
        }
        return Math.exp(score * softmaxScale);
      });
      const sum = scores.reduce((a, b) => a + b, 0);
      for (let k = 0; k < vDim; k++) {
        const mixed = scores.reduce(
          (total, p, token) => total + p * up(token, base + nopeDim + k),
          0,
        );
        out.push(mixed / sum);
      }
    }
  }
  return out;
}

describe('attention', () => {
  // Lengths around a page, and beyond a block of the expanded form.
  it.each([
    [0, 1],
    [0, 70],
    [63, 2],
    [64, 1],
    [300, 5],
    [250, 20],
  ])('gives the same in both forms, %i cached and %i new tokens', (start, count) => {
    const length = start + count;
    const pages = Array.from({ length: Math.ceil(length / 64) }, (_, i) => i).reverse();
    const tokens = random(length, 28, 1);
    const cache = matrix(pages.length * 64, 28);
    cache.data.fill(Number.NaN);
    for (let i = 0; i < length; i++) {
      const slot = (pages[Math.floor(i / 64)] ?? 0) * 64 + (i % 64);
      cache.data.set(tokens.data.subarray(i * 28, (i + 1) * 28), slot * 28);
    }
    const queries = random(count, 60, 2);
    const keyValue = random(66, 20, 3);
    const expected = naive(queries, keyValue, tokens, start);
    for (const form of ['absorbed', 'expanded'] satisfies AttentionForm[]) {
      const out = matrix(count, 30);
      const sequences = [{ pages, start, count, row: 0 }];
      // Angle 0: the queries are taken as they are.
      ops.attend(form, {
        ...{ queries, rotated: queries, keyValue, cache, sequences, config, out },
      });
      const off = expected.map((value, i) => Math.abs(value - (out.data[i] as number)));
      expect(Math.max(...off)).toBeLessThan(2e-6);
    }
  });
});
