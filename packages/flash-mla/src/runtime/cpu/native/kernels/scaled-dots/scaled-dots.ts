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
import { type E4m3Steps, ymmSteps, zmmSteps } from './e4m3-steps.ts';
import { depthStep, scaledDotsJob, scaleElements } from './job.ts';

/**
 * sums = x · (weights · scales)ᵀ with weights of e4m3, read once, in place and in order, as by dots/dots.ts. A scale
 * is multiplied into x: once for all weights that share it. Called as the kernels of attend/attend.ts.
 */
export const scaledDotsKernels: Readonly<Record<VectorKind, Kernel<typeof scaledDotsJob>>> = {
  avx512: kernel('avx512', zmmVectors, zmmSteps),
  avx2: kernel('avx2', ymmVectors, ymmSteps),
};

interface ScaledDots<V extends Zmm | Ymm> {
  readonly k: KernelBuilder;
  readonly v: Vectors<V>;
  readonly steps: E4m3Steps<V>;
  readonly job: KernelInputs<typeof scaledDotsJob, readonly []>;
  /** Where the device's memory begins. */
  readonly base: Memory<'gpr64'>;
  /** The scale of 128 elements, in all lanes of a vector. */
  readonly scale: Memory<'gpr64'>;
  /** Elements of the depth that are left. */
  readonly depthLeft: Memory<'gpr64'>;
}

/** Rows of x and of weights that a register tile takes, from the largest down; the last one takes what is left. */
const tiles: Readonly<Record<16 | 8, { rows: readonly number[]; columns: readonly number[] }>> = {
  16: { rows: [4, 2, 1], columns: [4, 1] },
  8: { rows: [2, 1], columns: [4, 1] },
};

/** Weights are decoded to 1/256 of what they are. */
const decodedFactor = 256;
const quietNaN = 0x7fc00000;

function kernel<V extends Zmm | Ymm>(
  kind: VectorKind,
  vectorsOf: (k: KernelBuilder) => Vectors<V>,
  stepsOf: (k: KernelBuilder) => E4m3Steps<V>,
): Kernel<typeof scaledDotsJob> {
  const options = {
    name: `scaled_dots_${kind}`,
    features: vectorFeatures[kind],
    job: scaledDotsJob,
    args: ['base'],
  } as const;
  return defineKernel(options, (k, { base: memory, ...job }) => {
    const [base, depthLeft, scale] = [k.stack(8, 8), k.stack(8, 8), k.stack(64, 64)];
    k.mov(base, memory);
    k.free(memory);
    emitColumns({ k, v: vectorsOf(k), steps: stepsOf(k), job, base, scale, depthLeft });
  });
}

/** All columns, each tile of them with all rows, so that weights come from the cache after the first rows. */
function emitColumns<V extends Zmm | Ymm>(d: ScaledDots<V>): void {
  const { k, v, job, base } = d;
  const left = k.stack(8, 8);
  const weights = k.gpr('weights', job.weights);
  const sums = k.gpr('sums', job.sums);
  for (const register of [weights, sums]) k.add(register, base);
  k.scope(() => {
    const columns = k.gpr('columns', job.columns);
    k.mov(left, columns);
  });
  inTurn(k, 'columns', tiles[v.lanes].columns, left.qword, (columns) => {
    emitRows(d, columns, weights, sums);
    k.scope(() => {
      const step = k.gpr('step', job.weightStride);
      k.imul(step, step, columns);
      k.add(weights, step);
    });
    k.add(sums, 4 * columns);
  });
}

/** All rows of x with some rows of weights. */
function emitRows<V extends Zmm | Ymm>(
  d: ScaledDots<V>,
  columns: number,
  weights: Gpr64,
  sums: Gpr64,
): void {
  const { k, v, job, base } = d;
  k.scope(() => {
    const left = k.gpr('rows', job.rows);
    const x = k.gpr('x', job.x);
    k.add(x, base);
    const sum = k.gpr('sum', sums);
    inTurn(k, 'rows', tiles[v.lanes].rows, left, (rows) =>
      emitTile(d, rows, columns, { x, weights, sum }),
    );
  });
}

/** Tiles of the sizes, as often as they fit into what is left. */
function inTurn(
  k: KernelBuilder,
  name: string,
  sizes: readonly number[],
  left: Gpr64 | Memory<'gpr64'>,
  emit: (size: number) => void,
): void {
  const labels = sizes.map((size) => k.label(`${name}${size}`));
  const done = k.label(`${name}_done`);
  for (const [i, size] of sizes.entries()) {
    const again = labels[i];
    if (again) k.place(again);
    k.if(k.compare(left, 'ge', size), () => {
      emit(size);
      k.sub(left as Gpr64, size);
      if (again) k.jmp(again);
    });
  }
  k.place(done);
}

interface TilePlace {
  readonly x: Gpr64;
  readonly weights: Gpr64;
  readonly sum: Gpr64;
}

/** One register tile over the whole depth; moves x and sums on to the next rows. */
function emitTile<V extends Zmm | Ymm>(
  { k, v, steps, job, base, scale, depthLeft }: ScaledDots<V>,
  rows: number,
  columns: number,
  { x, weights, sum }: TilePlace,
): void {
  k.scope(() => {
    const totals = Array.from({ length: rows }, (_, r) => v.take(`row${r}`, columns));
    const largest = v.take('largest', columns);
    for (const register of [...totals.flat(), ...largest]) v.zero(register);
    const scales = k.gpr('scales', job.scales);
    k.add(scales, base);
    const xStride = k.gpr('xStride', job.xStride);
    const weightStride = k.gpr('weightStride', job.weightStride);
    const weight = k.gpr('weight', weights);
    const weight3 = k.gpr('weight3', 0);
    if (columns > 3) k.lea(weight3, weightStride.at(weightStride.times(2)));
    const x3 = k.gpr('x3', 0);
    if (rows > 3) k.lea(x3, xStride.at(xStride.times(2)));
    const place = (from: Gpr64, stride: Gpr64, stride3: Gpr64, i: number, at: number) =>
      [from.at(at), from.at(stride, at), from.at(stride.times(2), at), from.at(stride3, at)][
        i
      ] as Memory<'gpr64'>;
    const rounds = k.gpr('rounds', job.depth);
    k.mov(depthLeft, rounds);
    const step = (at: number) =>
      k.scope(() => {
        const factors = Array.from({ length: steps.vectors }, () => v.take('x', rows));
        for (const [h, ofRows] of factors.entries()) {
          for (const [r, factor] of ofRows.entries()) {
            v.load(factor, place(x, xStride, x3, r, 4 * (at + h * v.lanes)));
            v.multiply(factor, factor, scale);
          }
        }
        for (const [c, most] of largest.entries()) {
          const from = place(weight, weightStride, weight3, c, at);
          steps.decode(from, most, (w, h) => {
            for (const [r, row] of totals.entries()) {
              v.addProduct(row[c] as V, (factors[h] as V[])[r] as V, w);
            }
          });
        }
      });
    const blocks = k.label('scales');
    k.place(blocks);
    k.scope(() => {
      const [all] = v.take('scale', 1) as [V];
      v.broadcast(all, scales.at());
      v.store(scale, all);
    });
    k.add(scales, 4);
    k.mov(rounds, depthLeft);
    k.scope(() => {
      const most = k.gpr('most', scaleElements);
      k.cmp(rounds, most);
      k.cmovg(rounds, most);
    });
    k.sub(depthLeft.qword, rounds);
    k.shr(rounds, Math.log2(depthStep));
    k.loop(
      rounds,
      () => {
        for (let at = 0; at < depthStep; at += steps.vectors * v.lanes) step(at);
        k.add(x, 4 * depthStep);
        k.add(weight, depthStep);
      },
      { name: 'depth', atLeastOnce: true },
    );
    k.cmp(depthLeft.qword, 0);
    k.jg(blocks);
    k.free(scales, weight, weight3, x3);
    // The sums of all rows, then NaN where a row of weights has it.
    const sumsStride = k.gpr('sumsStride', job.sumsStride);
    k.mov(rounds, sum);
    for (const row of totals) {
      for (const [c, total] of row.entries()) {
        v.multiply(total, total, k.constant.f32(new Array<number>(v.lanes).fill(decodedFactor)));
        v.storeSum(sum.at(4 * c), total);
      }
      k.add(sum, sumsStride);
    }
    for (const [c, most] of largest.entries()) {
      steps.ifNaN(most, () => {
        const at = k.gpr('at', rounds);
        for (let r = 0; r < rows; r++) {
          k.mov(at.at(4 * c).dword, quietNaN);
          k.add(at, sumsStride);
        }
      });
    }
    // Back to the beginning of the rows, and on to the next ones.
    k.set(rounds, job.depth);
    k.shl(rounds, 2);
    k.sub(x, rounds);
    for (let r = 0; r < rows; r++) k.add(x, xStride);
  });
}
