import {
  defineKernel,
  type Gpr64,
  type Kernel,
  type KernelBuilder,
  type KernelInputs,
  type Memory,
  type Ymm,
  type Zmm,
} from '@flash-mla/machine-code';
import { type VectorKind, vectorFeatures } from '../features.ts';
import { type Vectors, ymmVectors, zmmVectors } from '../vectors.ts';
import { dotsJob } from './job.ts';

/**
 * sums = x · weightsᵀ: vectors run along the rows, so that weights are read once, in place and in order, whatever
 * the number of columns. Called as the kernels of attend/attend.ts.
 */
export const dotsKernels: Readonly<Record<VectorKind, Kernel<typeof dotsJob>>> = {
  avx512: kernel('avx512', zmmVectors),
  avx2: kernel('avx2', ymmVectors),
};

interface Dots<V extends Zmm | Ymm> {
  readonly k: KernelBuilder;
  readonly v: Vectors<V>;
  readonly job: KernelInputs<typeof dotsJob, readonly []>;
}

/** Rows of x and of weights that a register tile takes. */
interface DotsTile {
  readonly rows: number;
  readonly columns: number;
}

/** From the largest down; the last one takes what is left. */
const tiles: Readonly<Record<16 | 8, { rows: readonly number[]; columns: readonly number[] }>> = {
  16: { rows: [4, 2, 1], columns: [4, 1] },
  8: { rows: [2, 1], columns: [4, 1] },
};

function kernel<V extends Zmm | Ymm>(
  kind: VectorKind,
  vectorsOf: (k: KernelBuilder) => Vectors<V>,
): Kernel<typeof dotsJob> {
  const options = {
    name: `dots_${kind}`,
    features: vectorFeatures[kind],
    job: dotsJob,
    args: ['base'],
  } as const;
  return defineKernel(options, (k, { base: memory, ...job }) => {
    const base = k.stack(8, 8);
    k.mov(base, memory);
    k.free(memory);
    const d = { k, v: vectorsOf(k), job };
    k.cmp(job.isBf16, 0);
    k.if(
      k.flags('ne'),
      () => emitColumns(d, base, true),
      () => emitColumns(d, base, false),
    );
  });
}

/** All columns, each tile of them with all rows, so that weights come from the cache after the first rows. */
function emitColumns<V extends Zmm | Ymm>(
  d: Dots<V>,
  base: Memory<'gpr64'>,
  isBf16: boolean,
): void {
  const { k, v, job } = d;
  k.section(isBf16 ? 'bf16' : 'f32', () => {
    const left = k.stack(8, 8);
    const weights = k.gpr('weights', job.weights);
    const sums = k.gpr('sums', job.sums);
    for (const register of [weights, sums]) k.add(register, base);
    k.scope(() => {
      const columns = k.gpr('columns', job.columns);
      k.mov(left, columns);
    });
    const sizes = tiles[v.lanes].columns;
    const labels = sizes.map((size) => k.label(`columns${size}`));
    const done = k.label('columns_done');
    for (const [i, columns] of sizes.entries()) {
      const again = labels[i];
      if (again) k.place(again);
      k.cmp(left.qword, columns);
      k.jl(labels[i + 1] ?? done);
      emitRows(d, base, columns, isBf16, weights, sums);
      k.scope(() => {
        const step = k.gpr('step', job.weightStride);
        k.imul(step, step, columns);
        k.add(weights, step);
      });
      k.add(sums, 4 * columns);
      k.sub(left.qword, columns);
      if (again) k.jmp(again);
    }
    k.place(done);
  });
}

/** All rows of x with some rows of weights. */
function emitRows<V extends Zmm | Ymm>(
  d: Dots<V>,
  base: Memory<'gpr64'>,
  columns: number,
  isBf16: boolean,
  weights: Gpr64,
  sums: Gpr64,
): void {
  const { k, v, job } = d;
  k.scope(() => {
    const left = k.gpr('rows', job.rows);
    const x = k.gpr('x', job.x);
    k.add(x, base);
    const sum = k.gpr('sum', sums);
    const sizes = tiles[v.lanes].rows;
    const labels = sizes.map((size) => k.label(`rows${size}`));
    const done = k.label('rows_done');
    for (const [i, rows] of sizes.entries()) {
      const again = labels[i];
      if (again) k.place(again);
      k.cmp(left, rows);
      k.jl(labels[i + 1] ?? done);
      emitTile(d, { rows, columns }, isBf16, { x, weights, sum });
      k.sub(left, rows);
      if (again) k.jmp(again);
    }
    k.place(done);
  });
}

interface TilePlace {
  readonly x: Gpr64;
  readonly weights: Gpr64;
  readonly sum: Gpr64;
}

/** One register tile over the whole depth; moves x and sums on to the next rows. */
function emitTile<V extends Zmm | Ymm>(
  { k, v, job }: Dots<V>,
  { rows, columns }: DotsTile,
  isBf16: boolean,
  { x, weights, sum }: TilePlace,
): void {
  const size = isBf16 ? 2 : 4;
  k.scope(() => {
    const totals = Array.from({ length: rows }, (_, r) => v.take(`row${r}`, columns));
    for (const total of totals.flat()) v.zero(total);
    const xStride = k.gpr('xStride', job.xStride);
    const weightStride = k.gpr('weightStride', job.weightStride);
    const weight = k.gpr('weight', weights);
    const stride3 = k.gpr('stride3', 0);
    if (columns > 3) k.lea(stride3, weightStride.at(weightStride.times(2)));
    const x3 = k.gpr('x3', 0);
    if (rows > 3) k.lea(x3, xStride.at(xStride.times(2)));
    // Rows of weights are too short for the processor to see where they lead: the next ones are asked for.
    const ahead = k.gpr('ahead', weight);
    if (columns > 3) k.lea(ahead, weight.at(weightStride.times(4)));
    const place = (base: Gpr64, stride: Gpr64, stride3: Gpr64, i: number, at: number) =>
      [base.at(at), base.at(stride, at), base.at(stride.times(2), at), base.at(stride3, at)][
        i
      ] as Memory<'gpr64'>;
    const step = (elements: number) => {
      k.scope(() => {
        const factors = v.take('x', rows);
        const [w] = v.take('w', 1) as [V];
        for (const [r, factor] of factors.entries()) {
          v.load(factor, place(x, xStride, x3, r, 4 * elements));
        }
        for (let c = 0; c < columns; c++) {
          const from = place(weight, weightStride, stride3, c, size * elements);
          if (isBf16) v.loadBf16(w, from);
          else v.load(w, from);
          for (const [r, row] of totals.entries()) v.addProduct(row[c] as V, factors[r] as V, w);
        }
      });
    };
    const rounds = k.gpr('rounds', job.depth);
    k.shr(rounds, 4);
    k.loop(
      rounds,
      () => {
        for (let at = 0; at < 16; at += v.lanes) step(at);
        if (columns > 3) {
          for (let c = 0; c < columns; c++) k.prefetcht1(place(ahead, weightStride, stride3, c, 0));
          k.add(ahead, 16 * size);
        }
        k.add(x, 64);
        k.add(weight, 16 * size);
      },
      { name: 'depth', atLeastOnce: true },
    );
    k.set(rounds, job.sumsStride);
    for (const row of totals) {
      for (const [c, total] of row.entries()) v.storeSum(sum.at(4 * c), total);
      k.add(sum, rounds);
    }
    // Back to the beginning of the rows, and on to the next ones.
    k.set(rounds, job.depth);
    k.shl(rounds, 2);
    k.sub(x, rounds);
    for (let r = 0; r < rows; r++) k.add(x, xStride);
  });
}
