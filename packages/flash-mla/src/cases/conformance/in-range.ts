import { cachedTokens } from '../../reference/dense-decode.ts';
import type { HostTensor, SparseCacheProblem } from '../../reference/index.ts';
import type { Problem } from '../problem.ts';

/**
 * The same problem with lengths that are out of range replaced by what they count as. A device in
 * debug mode reports such lengths instead of running with them.
 */
export function inRange<P extends Problem>(problem: P): P {
  switch (problem.op) {
    case 'sparse-decode':
      return {
        ...problem,
        topkLength: clampTopk(problem),
        extra: problem.extra && { ...problem.extra, topkLength: clampTopk(problem.extra) },
      };
    case 'sparse-prefill':
      return { ...problem, topkLength: clampTopk(problem) };
    case 'dense-decode':
    case 'cache-attention': {
      const { kCache, cacheSeqlens } = problem;
      const table = problem.blockTable ?? { dtype: 'i32', shape: [1, 1], data: new Int32Array(1) };
      const data = cacheSeqlens.data.map((_, i) => cachedTokens(cacheSeqlens, i, kCache, table));
      return { ...problem, cacheSeqlens: { ...cacheSeqlens, data } };
    }
    default:
      return problem;
  }
}

function clampTopk({
  indices,
  topkLength,
}: Pick<SparseCacheProblem, 'indices' | 'topkLength'>): HostTensor<'i32'> | undefined {
  const topk = indices.shape[2] as number;
  return (
    topkLength && {
      ...topkLength,
      data: topkLength.data.map((n) => Math.min(topk, Math.max(0, n))),
    }
  );
}
