import { defineKernel, type Kernel, type Zmm } from '@flash-mla/machine-code';
import { addressOf } from '../attend/context.ts';
import { emitOutputs } from '../attend/outputs.ts';
import { emitSoftmax } from '../attend/softmax.ts';
import { rowsBf16Features } from '../features.ts';
import { zmmVectors } from '../vectors.ts';
import type { RowsInputs } from './context.ts';
import { rowsJob } from './job.ts';
import { emitCheckValues, emitPackValues } from './pack-values.ts';
import { emitRowScores } from './scores.ts';
import { emitPairedProbabilities } from './softmax.ts';

/**
 * Attends to up to 64 bf16 tokens where they lie, by products of bf16 pairs with sums in f32: the work of
 * assembly/attend/in-place.ts. Probabilities are rounded to bf16, as on a GPU. Called as the kernels of
 * attend/attend.ts.
 */
export const rowsBf16: Kernel<typeof rowsJob> = defineKernel(
  { name: 'rows_bf16', features: rowsBf16Features, job: rowsJob, args: ['base'] },
  (k, { base: memory, ...job }) => {
    const base = k.stack(8, 8);
    k.mov(base, memory);
    k.free(memory);
    const v = zmmVectors(k);
    const inputs: RowsInputs = job;
    const a = { k, v, job: inputs, base };
    emitCheckValues(a);
    emitPackValues(a);
    emitRowScores(a);
    emitSoftmax(a, {
      emitProbabilities: (score, tokens, { base: reference, total }) =>
        emitPairedProbabilities(k, tokens, { ...v, score, base: reference, total }),
    });
    emitOutputs(a, {
      values: addressOf(a, 'valuePairs'),
      stride: inputs.valueStride,
      tilesApart: true,
      tokensPerStep: 2,
      addProducts(sums, columns, probability) {
        k.scope(() => {
          const x: Zmm = k.zmm('x');
          k.vpbroadcastd(x, probability);
          for (const [i, to] of sums.entries()) k.vdpbf16ps(to, columns[i] as Zmm, x);
        });
      },
    });
  },
);
