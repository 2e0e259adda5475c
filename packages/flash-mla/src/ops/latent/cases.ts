import type { HostTensor } from '@flash-mla/core';
import type { Tensor } from '../../runtime/tensor/tensor.ts';
import { defineCases } from '../conformance/suite/define-cases.ts';
import { drawNormals } from '../conformance/suite/draw-rows.ts';
import type { Tolerance } from '../conformance/tolerance.ts';
import { appendLatents } from './append-latents.ts';
import { type AppendLatentsProblem, appendLatents as latentReference } from './reference.ts';

interface LatentParams {
  readonly op: 'append-latents';
  readonly rows: number;
  readonly latent: number;
  readonly rope: number;
  readonly heads: number;
  readonly pairs: 'interleaved' | 'half';
  readonly x: 'bf16' | 'f32';
  /** Rows name their positions, some of them beyond the tables. */
  readonly positions?: boolean;
  /** Columns between the rows that are read. */
  readonly gap?: number;
  readonly graph?: boolean;
}

const op = 'append-latents';
const known = 40;
const [blocks, page] = [3, 16];
const mla = { op, latent: 512, rope: 64, pairs: 'interleaved', x: 'bf16' } as const;

/** The square root and the products are rounded before the result is. */
const tolerance: Tolerance = { absolute: 1e-5, relative: 1.1 / 256 };

export const latentCases = defineCases<LatentParams, AppendLatentsProblem>({
  quick: [
    { ...mla, rows: 1, heads: 16, positions: true, graph: true },
    { ...mla, rows: 5, heads: 20, positions: true, gap: 64 },
    { ...mla, rows: 4, heads: 40, latent: 256, rope: 32, pairs: 'half', positions: true },
    { ...mla, rows: 3, heads: 2, x: 'f32', gap: 4 },
    { ...mla, rows: 3, heads: 1, latent: 37, rope: 6, gap: 1 },
  ],
  full: [1, 40].map((rows) => ({ ...mla, rows, heads: 128, positions: true })),
  cost: ({ rows, heads, latent, rope }) => rows * (heads * rope + latent) * 10,

  problem({ rows, latent, rope, heads, pairs, x, positions }, random) {
    const half = rope / 2;
    const angles = Float64Array.from(
      { length: known * half },
      (_, i) => Math.floor(i / half) * 10_000 ** (-(i % half) / half),
    );
    const table = (of: (angle: number) => number): HostTensor<'f32'> => ({
      ...{ dtype: 'f32', shape: [known, half], data: Float32Array.from(angles, of) },
    });
    const places = Int32Array.from({ length: rows }, () => random.integer(0, known - 1));
    if (rows > 3) places.set([-1, known], 1);
    const all = random.shuffle(Array.from({ length: blocks * page }, (_, slot) => slot));
    const slots = Int32Array.from(all.slice(0, rows));
    if (rows > 3) slots.set([-1, blocks * page], 2);
    return {
      latents: drawNormals(random.stream('latents'), x, [rows, latent + rope], 1),
      weight: drawNormals(random.stream('weight'), 'f32', [latent], 1),
      ...{ eps: 1e-6, cos: table(Math.cos), sin: table(Math.sin) },
      interleaved: pairs === 'interleaved',
      positions: positions ? { dtype: 'i32', shape: [rows], data: places } : undefined,
      queries: drawNormals(random.stream('queries'), x, [rows, heads, rope], 1),
      kCache: drawNormals(random.stream('cache'), 'bf16', [blocks, page, 1, latent + rope], 1),
      slots: { dtype: 'i32', shape: [rows], data: slots },
    };
  },

  expected(problem, { latent, rope }) {
    const { kCache, rotatedQueries } = latentReference(problem);
    return {
      kCache: { values: kCache, rowLength: latent + rope, tolerance },
      rotatedQueries: { values: rotatedQueries, rowLength: rope, tolerance },
    };
  },

  upload(uploads, problem, { rows, latent, rope, heads, pairs, gap = 0 }) {
    const put = (host: HostTensor) =>
      (gap > 0 ? uploads.putStrided(host, gap) : uploads.put(host)) as Tensor<'bf16' | 'f32'>;
    const options = {
      ...{ latents: put(problem.latents), weight: uploads.put(problem.weight) as Tensor<'f32'> },
      ...{ cos: uploads.put(problem.cos), sin: uploads.put(problem.sin), eps: problem.eps, pairs },
      positions: problem.positions && uploads.put(problem.positions),
      queries: put(problem.queries),
      rotatedQueries: uploads
        .poisoned([rows, heads, latent + rope], 'bf16')
        .slice(2, latent, latent + rope),
      ...{
        kCache: uploads.put(problem.kCache) as Tensor<'bf16'>,
        slots: uploads.put(problem.slots),
      },
    };
    const { kCache, rotatedQueries } = options;
    return () => {
      appendLatents(options);
      return { kCache, rotatedQueries };
    };
  },

  excluded: () => {
    const reason = 'no kernel: there the calls that it stands for are made one by one';
    return { cpu: reason, webgpu: reason };
  },
});
