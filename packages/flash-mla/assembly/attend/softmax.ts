/** Online softmax in base 2 over one block, vectorised over query rows. */

import { exp2v } from '../simd';
import { decay, limits, maximum, rowVecs, SCORE_STRIDE, scores, sum } from './tile';

/**
 * Turns the logits of `tokens` keys into probabilities relative to the new running maximum, and
 * leaves in `decay` by what older sums and outputs shrink. `masked`: key `position + t` counts only
 * for rows whose limit is above it.
 */
export function updateSoftmax(tokens: i32, masked: bool, position: i32): void {
  for (let v: usize = 0; v < <usize>rowVecs; v++) {
    const row = scores + v * SCORE_STRIDE;
    if (masked) mask(row, tokens, position, v128.load(limits + (v << 4)));
    updateRows(row, row + (<usize>tokens << 4), v << 4);
  }
}

/** Scores of keys that a row does not see become −inf. */
function mask(score: usize, tokens: i32, position: i32, limit: v128): void {
  const hidden = f32x4.splat(-Infinity);
  for (let t = 0; t < tokens; t++) {
    const seen = i32x4.gt_s(limit, i32x4.splat(position + t));
    v128.store(score, v128.bitselect(v128.load(score), hidden, seen));
    score += 16;
  }
}

function updateRows(score: usize, end: usize, offset: usize): void {
  const old = v128.load(maximum + offset);
  // pmax(m, s) keeps m where s is NaN; the NaN reaches the result through exp2.
  let top = old;
  let at = score;
  while (at < end) {
    top = f32x4.pmax(top, v128.load(at));
    at += 16;
  }
  // A row that has seen nothing keeps −inf as its maximum but must not subtract it.
  const lowest = f32x4.splat(-Infinity);
  const base = v128.andnot(top, f32x4.eq(top, lowest));
  const shrink = exp2v(f32x4.sub(old, base));
  let total = f32x4.mul(v128.load(sum + offset), shrink);
  at = score;
  while (at < end) {
    const p = exp2v(f32x4.sub(v128.load(at), base));
    v128.store(at, p);
    total = f32x4.add(total, p);
    at += 16;
  }
  v128.store(maximum + offset, top);
  v128.store(sum + offset, total);
  v128.store(decay + offset, shrink);
}
