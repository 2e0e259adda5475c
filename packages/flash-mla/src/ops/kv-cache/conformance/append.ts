import type { Tensor } from '../../../runtime/tensor/tensor.ts';
import type { ProblemKind } from '../../conformance/problem-kind.ts';
import { exact } from '../../conformance/tolerance.ts';
import { appendKvCache } from '../api/append-kv-cache.ts';
import { appendKvCache as reference } from '../reference/index.ts';
import { expectedRows } from './conversion.ts';
import { generateAppend } from './generate-append.ts';
import type { AppendParams } from './params.ts';
import type { AppendKvCache } from './problems.ts';

/** `appendKvCache`. The cache is the result, as far as rows are written to it. */
export const append: ProblemKind<AppendKvCache, AppendParams> = {
  op: 'append',
  cost: ({ rows, hKv = 1, dQk = 576 }) => rows * hKv * dQk * 10,
  generate: generateAppend,
  reference: (problem) => expectedRows(reference(problem)),
  toleranceOf: () => exact,

  prepare(inputs, { layout, kCache, rows, slots }) {
    const cache = inputs.putWritable('out', layout === 'plain' ? 'disjoint' : layout, kCache);
    const source = inputs.put('rows', rows) as Tensor<'bf16'>;
    const place = inputs.putLengths('slots', slots) as Tensor<'i32'>;
    const run = () =>
      inputs.keep({
        out: appendKvCache({ kCache: cache as Tensor<'bf16'>, rows: source, slots: place }),
      });
    return { ...inputs.operation(run), restore: () => inputs.uploads.restore(cache) };
  },
};
