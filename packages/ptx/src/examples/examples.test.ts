import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SimMemory, simulate } from '../index.ts';
import { fromBf16, toBf16 } from '../sim/numerics/float.ts';
import { matmulBf16 } from './matmul_bf16.ts';
import { rmsNorm } from './rms_norm.ts';
import { rowSums } from './row_sums.ts';
import { vectorAdd } from './vector_add.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

describe('examples', () => {
  it('vector_add adds', () => {
    const memory = new SimMemory();
    const n = 1000;
    const x = Float32Array.from({ length: n }, (_, i) => i / 3);
    const params = { x: memory.allocFrom(x), y: memory.allocFrom(x), z: memory.alloc(n * 4), n };
    simulate(vectorAdd, { grid: [4], memory, params });
    const z = new Float32Array(memory.read(params.z, n * 4).buffer);
    expect([...z]).toEqual([...x].map((v) => Math.fround(v + v)));
  });

  it('matmul_bf16 multiplies, without bank conflicts', () => {
    const [m, n, depth] = [128, 192, 128];
    const matrix = (rows: number) =>
      Uint16Array.from({ length: rows * depth }, (_, i) => toBf16(Math.sin(i * i)));
    const [a, b] = [matrix(m), matrix(n)];
    const memory = new SimMemory();
    const [pa, pb, pc] = [memory.allocFrom(a), memory.allocFrom(b), memory.alloc(m * n * 4)];
    const params = { a: pa, b: pb, c: pc, n, depth };
    const counters = simulate(matmulBf16, { grid: [n / 64, m / 64], memory, params });
    const c = new Float32Array(memory.read(pc, m * n * 4).buffer);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < depth; k++)
          sum += fromBf16(a[i * depth + k]) * fromBf16(b[j * depth + k]);
        expect(Math.abs(c[i * n + j] - sum)).toBeLessThan(1e-4);
      }
    }
    expect(counters.sharedConflicts).toBe(0);
  });

  it('row_sums takes rows as they come, from however many CTAs', () => {
    for (const grid of [1, 3, 50]) {
      const memory = new SimMemory();
      const [rows, columns] = [40, 70];
      const x = Float32Array.from({ length: rows * columns }, (_, i) => i % 13);
      const params = {
        x: memory.allocFrom(x),
        sums: memory.alloc(rows * 4),
        next: memory.allocFrom(new Uint32Array(1)),
        rows,
        columns,
      };
      simulate(rowSums, { grid: [grid], memory, params });
      const sums = new Float32Array(memory.read(params.sums, rows * 4).buffer);
      const want = (r: number) =>
        x.slice(r * columns, (r + 1) * columns).reduce((s, v) => s + v, 0);
      expect([...sums]).toEqual(Array.from({ length: rows }, (_, r) => want(r)));
    }
  });

  it.each([256, 768, 8192])('rms_norm normalises rows of %i columns', (columns) => {
    const memory = new SimMemory();
    const rows = 3;
    const codes = (count: number, seed: number) =>
      Uint16Array.from({ length: count }, (_, i) => toBf16(Math.sin(i * seed)));
    const [x, weight] = [codes(rows * columns, 12.9), codes(columns, 78.2)];
    const bytes = rows * columns * 2;
    const y = memory.alloc(bytes);
    const epsilon = 0.25;
    const inputs = { x: memory.allocFrom(x), weight: memory.allocFrom(weight) };
    const params = { ...inputs, y, epsilon };
    const counters = simulate(rmsNorm({ columns }), { grid: [rows], memory, params });
    const results = new Uint16Array(memory.read(y, bytes).buffer);
    for (let row = 0; row < rows; row++) {
      const values = Array.from(x.subarray(row * columns, (row + 1) * columns), fromBf16);
      const mean = values.reduce((sum, v) => sum + v * v, 0) / columns;
      values.forEach((v, i) => {
        const expected = (v / Math.sqrt(mean + epsilon)) * fromBf16(weight[i]);
        const error = Math.abs(fromBf16(results[row * columns + i]) - expected);
        expect(error).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -8 * 1.001);
      });
    }
    expect(counters.globalLoadBytes).toBe(2 * bytes);
    expect(counters.globalSectors * 32).toBe(3 * bytes);
  });

  it('stand in the README and in docs as they are', () => {
    const readme = read('../../README.md');
    const body = (source: string) => source.slice(source.indexOf('defineKernel(')).trim();
    expect(readme).toContain(body(read('./vector_add.ts')));
    expect(readme).toContain(
      'simulate(vectorAdd, { grid: [4], memory, params: { x, y, z, n: 1000 } })',
    );
    const page = read('../../../../docs/writing-kernels.md');
    const norm = read('./rms_norm.ts');
    expect(page).toContain(norm.slice(norm.indexOf('export function')).trim());
  });
});
