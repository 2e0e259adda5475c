import {
  defineKernel,
  type Gpr64,
  type Kernel,
  type KernelBuilder,
  type KernelInputs,
  type Memory,
  storeBf16,
  sumOfLanes,
  type Ymm,
  type Zmm,
} from '@flash-mla/machine-code';
import { type VectorKind, vectorFeatures } from '../features.ts';
import { type Vectors, ymmVectors, zmmVectors } from '../vectors.ts';
import { columnStep, normJob } from './job.ts';

/**
 * RMSNorm of a row, after adding it to a residual: read once from memory, and once more from the room for the row.
 * Called as the kernels of attend/attend.ts.
 */
export const normKernels: Readonly<Record<VectorKind, Kernel<typeof normJob>>> = {
  avx512: kernel('avx512', zmmVectors, (k, x) => sumOfLanes(k, x)),
  avx2: kernel('avx2', ymmVectors, (k, x) => sumOfLanes(k, x)),
};

interface Norm<V extends Zmm | Ymm> {
  readonly k: KernelBuilder;
  readonly v: Vectors<V>;
  readonly job: KernelInputs<typeof normJob, readonly []>;
  readonly base: Memory<'gpr64'>;
}

function kernel<V extends Zmm | Ymm>(
  kind: VectorKind,
  vectorsOf: (k: KernelBuilder) => Vectors<V>,
  sum: (k: KernelBuilder, vectors: V[]) => ReturnType<typeof sumOfLanes>,
): Kernel<typeof normJob> {
  const options = {
    name: `norm_${kind}`,
    features: vectorFeatures[kind],
    job: normJob,
    args: ['base'],
  } as const;
  return defineKernel(options, (k, { base: memory, ...job }) => {
    const [base, slot] = [k.stack(8, 8), k.stack(8, 8)];
    k.mov(base, memory);
    k.free(memory);
    const v = vectorsOf(k);
    const n = { k, v, job, base };
    // Each of them sums every so many columns, so that sums of long rows stay exact enough.
    const squares = v.take('squares', columnStep / v.lanes);
    for (const each of squares) v.zero(each);
    byType(k, job.xIsBf16, (xIsBf16) => {
      k.cmp(job.residual, 0);
      k.if(
        k.flags('eq'),
        () => emitSquares(n, squares, xIsBf16, undefined),
        () => byType(k, job.residualIsBf16, (isBf16) => emitSquares(n, squares, xIsBf16, isBf16)),
      );
    });
    emitScale(n, sum(k, squares), slot);
    k.free(...squares);
    byType(k, job.outIsBf16, (outIsBf16) => emitResult(n, slot, outIsBf16));
  });
}

/** Code for either type of elements. */
function byType(k: KernelBuilder, isBf16: Memory<'gpr64'>, emit: (isBf16: boolean) => void): void {
  k.cmp(isBf16, 0);
  k.if(
    k.flags('ne'),
    () => emit(true),
    () => emit(false),
  );
}

const sizeOf = (isBf16: boolean) => (isBf16 ? 2 : 4);

/** Where a field of the job points to. */
function pointer(
  { k, base }: Pick<Norm<Zmm | Ymm>, 'k' | 'base'>,
  name: string,
  field: Memory<'gpr64'>,
): Gpr64 {
  const at = k.gpr(name);
  k.mov(at.low32, field);
  k.add(at, base);
  return at;
}

/** x, with the residual if there is one, goes into the row; adds squares. */
function emitSquares<V extends Zmm | Ymm>(
  n: Norm<V>,
  squares: readonly V[],
  xIsBf16: boolean,
  residualIsBf16: boolean | undefined,
): void {
  const { k, v, job } = n;
  const load = (to: V, from: Memory<'gpr64'>, isBf16: boolean) =>
    isBf16 ? v.loadBf16(to, from) : v.load(to, from);
  k.scope(() => {
    const [x, row] = [pointer(n, 'x', job.x), pointer(n, 'row', job.row)];
    const residual =
      residualIsBf16 === undefined ? undefined : pointer(n, 'residual', job.residual);
    const rounds = k.gpr('rounds', job.columns);
    k.shr(rounds, Math.log2(columnStep));
    k.loop(
      rounds,
      () => {
        const values = v.take('x', squares.length);
        for (const [i, value] of values.entries()) {
          load(value, x.at(i * v.lanes * sizeOf(xIsBf16)), xIsBf16);
          if (residual && residualIsBf16 !== undefined) {
            const place = residual.at(i * v.lanes * sizeOf(residualIsBf16));
            k.scope(() => {
              const [other] = v.take('residual', 1) as [V];
              load(other, place, residualIsBf16);
              v.add(value, value, other);
            });
            // What is normed is what the residual has become: rounded.
            if (residualIsBf16) {
              storeBf16(k, place, value);
              v.loadBf16(value, place);
            } else v.store(place, value);
          }
          v.store(row.at(4 * i * v.lanes), value);
          v.addProduct(squares[i] as V, value, value);
        }
        k.add(x, columnStep * sizeOf(xIsBf16));
        if (residual) k.add(residual, columnStep * sizeOf(residualIsBf16 === true));
        k.add(row, 4 * columnStep);
      },
      { name: 'squares', atLeastOnce: true },
    );
  });
}

/** 1 / √(squares / columns + eps) */
function emitScale(
  { k, job }: Pick<Norm<Zmm | Ymm>, 'k' | 'job'>,
  squares: ReturnType<typeof sumOfLanes>,
  slot: Memory<'gpr64'>,
): void {
  k.scope(() => {
    const columns = k.gpr('columns', job.columns);
    const x = k.xmm('x');
    k.vcvtsi2ss(x, squares, columns);
    k.vdivss(squares, squares, x);
    k.vaddss(squares, squares, job.eps);
    k.vsqrtss(squares, squares, squares);
    k.vmovss(x, k.constant.f32(1));
    k.vdivss(x, x, squares);
    k.vmovss(slot, x);
  });
}

/** The row times the scale and the gains. */
function emitResult<V extends Zmm | Ymm>(
  n: Norm<V>,
  slot: Memory<'gpr64'>,
  outIsBf16: boolean,
): void {
  const { k, v, job } = n;
  k.scope(() => {
    const row = pointer(n, 'row', job.row);
    const gains = pointer(n, 'gains', job.gains);
    const out = pointer(n, 'out', job.out);
    const [scale] = v.take('scale', 1) as [V];
    v.broadcast(scale, slot);
    const rounds = k.gpr('rounds', job.columns);
    k.shr(rounds, Math.log2(columnStep));
    k.loop(
      rounds,
      () => {
        const [x] = v.take('x', 1) as [V];
        for (let i = 0; i < columnStep; i += v.lanes) {
          v.load(x, row.at(4 * i));
          v.multiply(x, x, scale);
          v.multiply(x, x, gains.at(4 * i));
          const place = out.at(i * sizeOf(outIsBf16));
          if (outIsBf16) storeBf16(k, place, x);
          else v.store(place, x);
        }
        for (const at of [row, gains]) k.add(at, 4 * columnStep);
        k.add(out, columnStep * sizeOf(outIsBf16));
      },
      { name: 'result', atLeastOnce: true },
    );
  });
}
