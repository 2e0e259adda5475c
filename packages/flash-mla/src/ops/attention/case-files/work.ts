import { dtypeSize } from '@flash-mla/core';
import type { CaseProblem } from './load-case.ts';

/** Bytes that a problem moves: queries, the cache rows it touches, output. */
export function bytesMoved(problem: CaseProblem): number {
  const { q } = problem;
  const outBytes = (q.data.length / width(q.shape)) * valueColumns(problem) * 2;
  return q.data.byteLength + rowBytes(problem) + outBytes;
}

function rowBytes(problem: CaseProblem): number {
  if (problem.op === 'dense-decode') {
    const { kCache, cacheSeqlens } = problem;
    const [, , heads = 1, columns = 1] = kCache.shape;
    const tokens = cacheSeqlens.data.reduce((sum, length) => sum + Math.max(0, length), 0);
    return tokens * heads * columns * dtypeSize(kCache.dtype);
  }
  if (problem.op === 'sparse-decode') {
    const caches = [problem, ...(problem.extra ? [problem.extra] : [])];
    return caches.reduce((sum, { kCache, indices, topkLength }) => {
      const tokens = kCache.shape.slice(0, 2).reduce((product, n) => product * n, 1);
      const bytes = width(kCache.shape) * dtypeSize(kCache.dtype);
      return sum + attended(indices.data, indices.shape, tokens, topkLength?.data) * bytes;
    }, 0);
  }
  const { kv, indices, topkLength } = problem;
  const bytes = width(kv.shape) * dtypeSize(kv.dtype);
  return attended(indices.data, indices.shape, kv.shape[0] ?? 0, topkLength?.data) * bytes;
}

/** Indices that name a row and count. `lengths`: one for each entry of the first dimension. */
function attended(
  indices: Int32Array,
  shape: readonly number[],
  rows: number,
  lengths: Int32Array | undefined,
): number {
  const topk = width(shape);
  const perLength = indices.length / (shape[0] ?? 1);
  let count = 0;
  for (let i = 0; i < indices.length; i++) {
    const length = lengths?.[Math.floor(i / perLength)] ?? topk;
    const row = indices[i] as number;
    if (i % topk < length && row >= 0 && row < rows) count++;
  }
  return count;
}

function valueColumns(problem: CaseProblem): number {
  return problem.op === 'sparse-prefill' ? (problem.dV ?? 512) : problem.headDimV;
}

const width = (shape: readonly number[]): number => shape.at(-1) ?? 1;

/** `q 5×1×64×576, cache 82×64×1×576`. */
export function shapesOf(problem: CaseProblem): string {
  const shape = (extents: readonly number[]) => extents.join('×');
  const q = `q ${shape(problem.q.shape)}`;
  if (problem.op === 'sparse-prefill') {
    return `${q}, kv ${shape(problem.kv.shape)}, top ${width(problem.indices.shape)}`;
  }
  const cache = `${q}, cache ${shape(problem.kCache.shape)}`;
  if (problem.op === 'dense-decode') return cache;
  const extra = problem.extra ? `+${width(problem.extra.indices.shape)}` : '';
  return `${cache}, top ${width(problem.indices.shape)}${extra}`;
}
