import {
  defineKernel,
  type Gpr64,
  type Kernel,
  type KernelBuilder,
  type Memory,
  storeE4m3,
  type Ymm,
  type Zmm,
} from '@flash-mla/machine-code';
import { type VectorKind, vectorFeatures } from '../features.ts';
import { type Vectors, ymmVectors, zmmVectors } from '../vectors.ts';
import { lineValues, packJob, tailValues } from './job.ts';
import { largestOfLanes, raiseLargest } from './largest.ts';

/**
 * Rows of bf16 → packed rows of e4m3, a scale for each tile of their values: the least power of two by which the
 * largest magnitude becomes one that e4m3 has, but at least 2^-13. Called as the kernels of attend/attend.ts.
 */
export const packKernels: Readonly<Record<VectorKind, Kernel<typeof packJob>>> = {
  avx512: kernel('avx512', zmmVectors),
  avx2: kernel('avx2', ymmVectors),
};

/** Codes of e8m0: the smallest that is used, those of infinity and of NaN. */
const codes = { least: 127 - 13, infinity: 254, nan: 255 };
/** Magnitudes of bf16. */
const infinity = 0x7f80;
/** f32: 2^-127, what the largest scale is the inverse of. */
const leastInverse = 0x400000;
const quietNaN = 0x7fc00000;

function kernel<V extends Zmm | Ymm>(
  kind: VectorKind,
  vectorsOf: (k: KernelBuilder) => Vectors<V>,
): Kernel<typeof packJob> {
  const options = {
    name: `pack_${kind}`,
    features: vectorFeatures[kind],
    job: packJob,
    args: ['base'],
  } as const;
  return defineKernel(options, (k, { base, ...job }) => {
    const v = vectorsOf(k);
    const inverse = k.stack(8, 8);
    const rows: Gpr64[] = [];
    for (const field of ['source', 'target', 'scales'] as const) {
      const at = k.gpr(field, job[field]);
      k.add(at, base);
      rows.push(at);
    }
    k.free(base);
    const [source, target, scales] = rows as [Gpr64, Gpr64, Gpr64];
    const left = k.gpr('left', job.rows);
    k.loop(
      left,
      () => {
        const [from, to, scale] = rows.map((row) => k.gpr('at', row)) as [Gpr64, Gpr64, Gpr64];
        const tiles = k.gpr('tiles', job.tiles);
        k.loop(
          tiles,
          () => {
            emitScale(k, v, { from, scale, lines: job.linesOfTile, isE8m0: job.isE8m0, inverse });
            const [factor] = v.take('inverse', 1) as [V];
            v.broadcast(factor, inverse);
            k.loop(
              k.gpr('lines', job.linesOfTile),
              () => {
                const [x] = v.take('x', 1) as [V];
                for (let at = 0; at < lineValues; at += v.lanes) {
                  v.loadBf16(x, from.at(2 * at));
                  v.multiply(x, x, factor);
                  storeE4m3(k, to.at(at), x);
                }
                k.add(from, 2 * lineValues);
                k.add(to, lineValues);
              },
              { name: 'lines', atLeastOnce: true },
            );
          },
          { name: 'tiles', atLeastOnce: true },
        );
        k.cmp(job.isE8m0, 0);
        k.if(k.flags('ne'), () => k.mov(scale.at().byte, 0));
        k.set(to, job.tail);
        k.add(to, target);
        const [x] = v.take('tail', 1) as [V];
        for (let at = 0; at < 2 * tailValues; at += 4 * v.lanes) {
          v.load(x, from.at(at));
          v.store(to.at(at), x);
        }
        for (const [row, stride] of [
          [source, job.sourceStride],
          [target, job.targetStride],
          [scales, job.scalesStride],
        ] as const) {
          k.set(to, stride);
          k.add(row, to);
        }
      },
      { name: 'rows', atLeastOnce: true },
    );
  });
}

interface ScalePlaces {
  /** The tile's values. */
  readonly from: Gpr64;
  /** Where its scale goes; moves on to the next one. */
  readonly scale: Gpr64;
  readonly lines: Memory<'gpr64'>;
  readonly isE8m0: Memory<'gpr64'>;
  /** Where the scale's inverse goes, as f32. */
  readonly inverse: Memory<'gpr64'>;
}

/** Stores the scale of a tile, and its inverse. */
function emitScale<V extends Zmm | Ymm>(
  k: KernelBuilder,
  v: Vectors<V>,
  { from, scale, lines, isE8m0, inverse }: ScalePlaces,
): void {
  k.scope(() => {
    const top = k.gpr('top');
    const code = k.gpr('code');
    k.scope(() => {
      const [largest] = v.take('largest', 1) as [V];
      v.zero(largest);
      k.set(code, from);
      k.loop(
        k.gpr('lines', lines),
        () => {
          for (let at = 0; at < lineValues; at += v.lanes)
            raiseLargest(k, largest, code.at(2 * at));
          k.add(code, 2 * lineValues);
        },
        { name: 'magnitudes', atLeastOnce: true },
      );
      largestOfLanes(k, top, largest);
    });
    // 448 = 1.75 · 2^8: a fraction of up to 0.75, 0x60 of bf16, needs the exponent less 8, a larger one the next.
    k.lea(code, top.at(0x1f));
    k.shr(code, 7);
    k.sub(code, 8);
    const other = k.gpr('other', codes.least);
    k.cmp(code, other);
    k.cmovl(code, other);
    const choose = (to: Gpr64, atLimit: number, above: number) => {
      // `mov` leaves the flags as they are.
      k.mov(other.low32, atLimit);
      k.cmove(to, other);
      k.mov(other.low32, above);
      k.cmovg(to, other);
    };
    k.cmp(top, infinity);
    choose(code, codes.infinity, codes.nan);
    k.set(top, 254);
    k.sub(top, code);
    k.shl(top, 23);
    k.cmp(code, codes.infinity);
    choose(top, leastInverse, quietNaN);
    k.mov(inverse.dword, top.low32);
    k.cmp(isE8m0, 0);
    k.if(
      k.flags('ne'),
      () => {
        k.mov(scale.at(), code.low8);
        k.add(scale, 1);
      },
      () => {
        k.set(top, code);
        k.shl(top, 23);
        k.mov(other.low32, quietNaN);
        k.cmp(code, codes.nan);
        k.cmove(top, other);
        k.mov(scale.at().dword, top.low32);
        k.add(scale, 4);
      },
    );
  });
}
