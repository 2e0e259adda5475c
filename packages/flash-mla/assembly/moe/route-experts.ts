/** The experts of each row and their weights; see src/ops/moe. */

import { loadRow } from '../elements';
import { exp2, LOG2E } from '../scalar';
import { enterCommand, takeItem } from '../work';

const SIGMOID: i32 = 1;
const TOP2: i32 = 1;

/** The scratch of a thread: scores, what is chosen by, groups, three times `experts` float32. */
export function routeExperts(
  context: usize,
  worker: i32,
  workers: i32,
  workspace: usize,
  scratchBytes: usize,
  rows: i32,
  experts: i32,
  topK: i32,
  shared: i32,
  scoring: i32,
  groups: i32,
  topGroups: i32,
  groupScore: i32,
  normalize: i32,
  scale: f64,
  logitType: i32,
  logits: usize,
  stride: usize,
  bias: usize,
  chosen: usize,
  weights: usize,
): void {
  enterCommand(context, worker, workers);
  const scores = workspace + <usize>worker * scratchBytes;
  const choice = scores + scratchBytes / 3;
  const ofGroups = choice + scratchBytes / 3;
  for (let r = takeItem(); r < rows; r = takeItem()) {
    loadRow(logitType, scores, logits + <usize>r * stride, experts);
    if (scoring == SIGMOID) sigmoids(scores, experts);
    else softmax(scores, experts);
    for (let e: usize = 0; e < <usize>experts << 2; e += 4) {
      store<f32>(choice + e, load<f32>(scores + e) + (bias == 0 ? 0 : load<f32>(bias + e)));
    }
    if (topGroups < groups) keepGroups(choice, experts, groups, topGroups, groupScore, ofGroups);
    const ids = chosen + ((<usize>r * <usize>(topK + shared)) << 2);
    const parts = weights + ((<usize>r * <usize>(topK + shared)) << 2);
    let sum: f32 = 1e-20;
    for (let k: usize = 0; k < <usize>topK << 2; k += 4) {
      const e = takeBest(choice, experts);
      const score = load<f32>(scores + (<usize>e << 2));
      sum += score;
      store<i32>(ids + k, e);
      store<f32>(parts + k, score);
    }
    const factor = <f32>scale;
    for (let k: usize = 0; k < <usize>topK << 2; k += 4) {
      const part = load<f32>(parts + k);
      store<f32>(parts + k, (normalize ? part / sum : part) * factor);
    }
    for (let s = 0; s < shared; s++) {
      const at = <usize>(topK + s) << 2;
      store<i32>(ids + at, experts + s);
      store<f32>(parts + at, 1);
    }
  }
}

function sigmoids(row: usize, count: i32): void {
  for (let i: usize = 0; i < <usize>count << 2; i += 4) {
    store<f32>(row + i, <f32>(1 / (1 + exp2(-LOG2E * <f64>load<f32>(row + i)))));
  }
}

function softmax(row: usize, count: i32): void {
  let most: f32 = -Infinity;
  for (let i: usize = 0; i < <usize>count << 2; i += 4) most = max(most, load<f32>(row + i));
  let sum: f64 = 0;
  for (let i: usize = 0; i < <usize>count << 2; i += 4) {
    const power = exp2(LOG2E * <f64>(load<f32>(row + i) - most));
    store<f32>(row + i, <f32>power);
    sum += power;
  }
  for (let i: usize = 0; i < <usize>count << 2; i += 4) {
    store<f32>(row + i, <f32>(<f64>load<f32>(row + i) / sum));
  }
}

/** Takes the experts of all but the best groups out of the choice. */
function keepGroups(
  choice: usize,
  experts: i32,
  groups: i32,
  topGroups: i32,
  groupScore: i32,
  ofGroups: usize,
): void {
  const size = experts / groups;
  for (let g = 0; g < groups; g++) {
    let first: f32 = -Infinity;
    let second: f32 = -Infinity;
    for (let i = 0; i < size; i++) {
      const value = load<f32>(choice + (<usize>(g * size + i) << 2));
      if (value > first) {
        second = first;
        first = value;
      } else if (value > second) second = value;
    }
    store<f32>(ofGroups + (<usize>g << 2), groupScore == TOP2 && size > 1 ? first + second : first);
  }
  for (let k = 0; k < topGroups; k++) takeBest(ofGroups, groups);
  // Those that were taken are −inf now, as no other is: scores are finite where logits are.
  for (let g = 0; g < groups; g++) {
    if (load<f32>(ofGroups + (<usize>g << 2)) == -Infinity) continue;
    for (let i = 0; i < size; i++) store<f32>(choice + (<usize>(g * size + i) << 2), -Infinity);
  }
}

/** The place of the largest value, the first of equals, which becomes −inf. */
function takeBest(values: usize, count: i32): i32 {
  let best = -1;
  let most: f32 = -Infinity;
  for (let i = 0; i < count; i++) {
    const value = load<f32>(values + (<usize>i << 2));
    if (value > most) {
      most = value;
      best = i;
    }
  }
  // Nothing but NaN and −inf: any expert is as good as any other.
  if (best < 0) best = 0;
  store<f32>(values + (<usize>best << 2), -Infinity);
  return best;
}
