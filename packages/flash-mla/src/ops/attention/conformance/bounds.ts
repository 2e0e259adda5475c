import type { DType } from '@flash-mla/core';
import type { ExpectedAnswers } from '../../conformance/compare.ts';
import type { AnswerName } from '../../conformance/problem.ts';
import type { Tolerance } from '../../conformance/tolerance.ts';

/** lse and max_logits are float32 whatever the inputs. */
const logits: Tolerance = { absolute: 1e-6, relative: 8.01 / 65536 };

/**
 * The bounds of an attention. `out` are FlashMLA's own (its tests/) where the output is bf16: P and the
 * output are rounded to 8 significant bits, and values are of the order of 0.1. A float16 has three bits
 * more, so its bounds are an eighth, and a 64th where errors are squared. An e4m3 problem has bf16 output,
 * and as its products are exact in float32 it is held to the bounds of bf16. (A kernel that rounds P to
 * e4m3 too would be off by 2.6 % in the mean and have bounds of its own among the exclusions.)
 */
export function boundsOf(out: Tolerance, lse: Tolerance = logits) {
  return (answer: AnswerName, dtype: DType): Tolerance => {
    if (answer !== 'out') return lse;
    if (dtype !== 'f16') return out;
    const { absolute, relative, cosine = 0 } = out;
    return { absolute: absolute / 8, relative: relative / 8, cosine: cosine / 64 };
  };
}

/** What the reference computed, as the suite takes it. */
export function expectedOf(
  { out, lse }: { readonly out: Float64Array; readonly lse: Float64Array },
  headDimV: number,
): ExpectedAnswers {
  return { out: { values: out, rowLength: headDimV }, lse: { values: lse } };
}
