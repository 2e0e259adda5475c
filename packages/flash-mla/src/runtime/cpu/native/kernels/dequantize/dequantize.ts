import {
  defineKernel,
  type Gpr64,
  type Kernel,
  type KernelBuilder,
  loadE4m3Ymm,
  loadE4m3Zmm,
  type Memory,
  storeBf16,
  type Ymm,
  type Zmm,
} from '@flash-mla/machine-code';
import { type VectorKind, vectorFeatures } from '../features.ts';
import { lineValues, tailValues } from '../pack/job.ts';
import { type Vectors, ymmVectors, zmmVectors } from '../vectors.ts';
import { dequantizeJob } from './job.ts';

type LoadE4m3<V> = (k: KernelBuilder, to: V, from: Memory<'gpr64'>) => void;

/**
 * Packed rows → rows of bf16: each value times the scale of its tile, rounded. Any scale is right, unlike those of
 * unpack/unpack.ts. Called as the kernels of attend/attend.ts.
 */
export const dequantizeKernels: Readonly<Record<VectorKind, Kernel<typeof dequantizeJob>>> = {
  avx512: kernel('avx512', zmmVectors, loadE4m3Zmm),
  avx2: kernel('avx2', ymmVectors, loadE4m3Ymm),
};

/** f32: what code 0 of e8m0 means, a subnormal number, and code 255. */
const leastScale = 0x400000;
const quietNaN = 0x7fc00000;
const codeOfNaN = 255;

function kernel<V extends Zmm | Ymm>(
  kind: VectorKind,
  vectorsOf: (k: KernelBuilder) => Vectors<V>,
  loadE4m3: LoadE4m3<V>,
): Kernel<typeof dequantizeJob> {
  const options = {
    name: `dequantize_${kind}`,
    features: vectorFeatures[kind],
    job: dequantizeJob,
    args: ['base'],
  } as const;
  return defineKernel(options, (k, { base, ...job }) => {
    const v = vectorsOf(k);
    const slot = k.stack(8, 8);
    const rows: Gpr64[] = [];
    for (const field of ['source', 'target', 'scales'] as const) {
      const at = k.gpr(field, job[field]);
      k.add(at, base);
      rows.push(at);
    }
    k.free(base);
    const [source, target, scales] = rows as [Gpr64, Gpr64, Gpr64];
    k.loop(
      k.gpr('left', job.rows),
      () => {
        const [from, to, scale] = rows.map((row) => k.gpr('at', row)) as [Gpr64, Gpr64, Gpr64];
        k.loop(
          k.gpr('tiles', job.tiles),
          () => {
            emitScale(k, scale, job.isE8m0, slot);
            const [factor] = v.take('scale', 1) as [V];
            v.broadcast(factor, slot);
            k.loop(
              k.gpr('lines', job.linesOfTile),
              () => {
                const [x] = v.take('x', 1) as [V];
                for (let at = 0; at < lineValues; at += v.lanes) {
                  loadE4m3(k, x, from.at(at));
                  v.multiply(x, x, factor);
                  storeBf16(k, to.at(2 * at), x);
                }
                k.add(from, lineValues);
                k.add(to, 2 * lineValues);
              },
              { name: 'lines', atLeastOnce: true },
            );
          },
          { name: 'tiles', atLeastOnce: true },
        );
        k.set(from, job.tail);
        k.add(from, source);
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
          k.set(from, stride);
          k.add(row, from);
        }
      },
      { name: 'rows', atLeastOnce: true },
    );
  });
}

/** Puts a scale into the slot as f32, and moves on to the next one. */
function emitScale(
  k: KernelBuilder,
  scale: Gpr64,
  isE8m0: Memory<'gpr64'>,
  slot: Memory<'gpr64'>,
): void {
  k.scope(() => {
    const value = k.gpr('value');
    k.cmp(isE8m0, 0);
    k.if(
      k.flags('ne'),
      () => {
        const [code, other] = [k.gpr('code'), k.gpr('other', leastScale)];
        k.movzx(code.low32, scale.at().byte);
        k.mov(value.low32, code.low32);
        k.shl(value.low32, 23);
        k.cmp(code.low32, 0);
        k.cmove(value, other);
        k.mov(other.low32, quietNaN);
        k.cmp(code.low32, codeOfNaN);
        k.cmove(value, other);
        k.add(scale, 1);
      },
      () => {
        k.mov(value.low32, scale.at());
        k.add(scale, 4);
      },
    );
    k.mov(slot.dword, value.low32);
  });
}
