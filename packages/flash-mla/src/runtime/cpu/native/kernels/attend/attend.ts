import {
  defineKernel,
  type Kernel,
  type KernelBuilder,
  type Ymm,
  type Zmm,
} from '@flash-mla/machine-code';
import { type VectorKind, vectorFeatures } from '../features.ts';
import { type Vectors, ymmVectors, zmmVectors } from '../vectors.ts';
import { type AttendInputs, addressOf } from './context.ts';
import { attendJob } from './job.ts';
import { emitOutputs } from './outputs.ts';
import { emitScores } from './scores.ts';
import { emitSoftmax } from './softmax.ts';

/**
 * Attends to one block of decoded keys and values, with the vectors of AVX-512 or AVX2: the work of
 * assembly/attend/block.ts. Called with the address of the job and that of the device's memory, in which
 * the job's addresses are offsets.
 */
export const attendKernels: Readonly<Record<VectorKind, Kernel<typeof attendJob>>> = {
  avx512: kernel('avx512', zmmVectors),
  avx2: kernel('avx2', ymmVectors),
};

function kernel<V extends Zmm | Ymm>(
  kind: VectorKind,
  vectorsOf: (k: KernelBuilder) => Vectors<V>,
): Kernel<typeof attendJob> {
  const options = {
    name: `attend_${kind}`,
    features: vectorFeatures[kind],
    job: attendJob,
    args: ['base'],
  } as const;
  return defineKernel(options, (k, { base: memory, ...fields }) => {
    const base = k.stack(8, 8);
    k.mov(base, memory);
    k.free(memory);
    const job: AttendInputs = fields;
    const v = vectorsOf(k);
    const a = { k, v, job, base };
    emitScores(a);
    emitSoftmax(a);
    emitOutputs(a, {
      values: addressOf(a, 'values'),
      stride: job.valueStride,
      tilesApart: false,
      tokensPerStep: 1,
      addProducts: v.addProducts,
    });
  });
}
