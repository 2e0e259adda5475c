import { decodeAll, extents, type HostTensor } from '@flash-mla/core';
import type { KvRowLayout } from '../../kernel-lib/row-layout.ts';
import { attend, sinkFactor } from './attend.ts';
import type { DecodeAnswer } from './dense-decode.ts';
import { attendedSlots, gatherSlots, type SparseCacheProblem } from './sparse-rows.ts';

/** Arguments of {@link sparseDecode}; names and shapes as in `flashMlaWithKvCache`. */
export interface SparseDecodeProblem extends SparseCacheProblem {
  /** (b, sQ, hQ, dQk). */
  readonly q: HostTensor;
  /** Row format of both caches. */
  readonly layout: KvRowLayout;
  readonly headDimV: number;
  /** Default 1/√dQk. */
  readonly softmaxScale?: number | undefined;
  /** f32 (hQ). */
  readonly attnSink?: HostTensor<'f32'> | undefined;
  /** A second cache, attended to as if its rows followed those of the first. */
  readonly extra?: SparseCacheProblem | undefined;
}

/** Token-sparse decoding in float64. */
export function sparseDecode(problem: SparseDecodeProblem): DecodeAnswer {
  const { q, layout, kCache, headDimV, attnSink, extra } = problem;
  const [b, sQ, hQ, d] = extents('q', q, 4) as [number, number, number, number];
  const scale = problem.softmaxScale ?? 1 / Math.sqrt(d);
  const queries = decodeAll(q);
  const out = new Float64Array(b * sQ * hQ * headDimV);
  const lse = new Float64Array(b * hQ * sQ);

  for (let i = 0; i < b; i++) {
    for (let s = 0; s < sQ; s++) {
      const slots = attendedSlots(problem, i, s);
      const extraSlots = extra ? attendedSlots(extra, i, s) : [];
      const count = slots.length + extraSlots.length;
      const keys = new Float64Array(count * d);
      gatherSlots(layout, kCache, slots, keys, 0, d);
      if (extra) gatherSlots(layout, extra.kCache, extraSlots, keys, slots.length, d);

      const first = (i * sQ + s) * hQ;
      const answer = attend(
        queries.subarray(first * d, (first + hQ) * d),
        hQ,
        { keys, count, headDimQk: d, values: keys, valueStride: d, headDimV },
        scale,
      );
      for (let h = 0; h < hQ; h++) {
        const rowLse = answer.lse[h] as number;
        const factor = attnSink ? sinkFactor(rowLse, attnSink.data[h] as number) : 1;
        for (let c = 0; c < headDimV; c++) {
          out[(first + h) * headDimV + c] = (answer.out[h * headDimV + c] as number) * factor;
        }
        lse[(i * hQ + h) * sQ + s] = rowLse;
      }
    }
  }
  return { out, lse };
}
