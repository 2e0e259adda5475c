import { decodeAll, decodeInto, extents, type HostTensor } from '@flash-mla/core';
import { attend, sinkFactor } from './attend.ts';

/** Arguments of {@link sparsePrefill}; names and shapes as in `flashMlaSparseFwd`. */
export interface SparsePrefillProblem {
  /** (sQ, hQ, dQk). */
  readonly q: HostTensor;
  /** (sKv, hKv, dQk). */
  readonly kv: HostTensor;
  /** i32 (sQ, hKv, topk): rows of `kv`; anything outside is skipped. */
  readonly indices: HostTensor<'i32'>;
  readonly smScale: number;
  readonly dV: number;
  /** f32 (hQ). */
  readonly attnSink?: HostTensor<'f32'> | undefined;
  /** i32 (sQ): entries of `indices` that count, clamped to 0…topk. */
  readonly topkLength?: HostTensor<'i32'> | undefined;
}

/** float64 results in row-major order. */
export interface PrefillAnswer {
  /** (sQ, hQ, dV). */
  readonly out: Float64Array;
  /** (sQ, hQ): largest scaled logit; −inf for rows that attend to nothing, NaN where the lse is NaN. */
  readonly maxLogits: Float64Array;
  /** (sQ, hQ), natural log; +inf for rows that attend to nothing. */
  readonly lse: Float64Array;
}

/** Token-sparse attention over an unpaged KV in float64. */
export function sparsePrefill(problem: SparsePrefillProblem): PrefillAnswer {
  const { q, kv, indices, smScale, dV, attnSink, topkLength } = problem;
  const [sQ, hQ, d] = extents('q', q, 3) as [number, number, number];
  const [sKv, hKv] = extents('kv', kv, 3) as [number, number, number];
  const topk = extents('indices', indices, 3)[2] as number;
  const group = hQ / hKv;
  const queries = decodeAll(q);
  const out = new Float64Array(sQ * hQ * dV);
  const maxLogits = new Float64Array(sQ * hQ);
  const lse = new Float64Array(sQ * hQ);

  for (let s = 0; s < sQ; s++) {
    const length = Math.min(topk, Math.max(0, topkLength?.data[s] ?? topk));
    for (let headKv = 0; headKv < hKv; headKv++) {
      const at = (s * hKv + headKv) * topk;
      const rows = indices.data.subarray(at, at + length).filter((row) => row >= 0 && row < sKv);
      const keys = new Float64Array(rows.length * d);
      rows.forEach((row, i) => {
        decodeInto(kv, (row * hKv + headKv) * d, d, keys, i * d);
      });

      const first = s * hQ + headKv * group;
      const answer = attend(
        queries.subarray(first * d, (first + group) * d),
        group,
        { keys, count: rows.length, headDimQk: d, values: keys, valueStride: d, headDimV: dV },
        smScale,
      );
      maxLogits.set(answer.maxLogits, first);
      lse.set(answer.lse, first);
      for (let h = 0; h < group; h++) {
        const sink = attnSink?.data[headKv * group + h];
        const factor = sink === undefined ? 1 : sinkFactor(answer.lse[h] as number, sink);
        for (let c = 0; c < dV; c++) {
          out[(first + h) * dV + c] = (answer.out[h * dV + c] as number) * factor;
        }
      }
    }
  }
  return { out, maxLogits, lse };
}
