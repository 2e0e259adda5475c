/** The experts of each row and their weights; see src/ops/moe. */

import { loadRowOf } from '../elements';
import { RouteExperts } from '../generated/moe';
import { exp2, LOG2E } from '../scalar';

export function routeExperts(command: RouteExperts): void {
  const experts = command.numExperts;
  const topK = command.topK;
  const shared = command.sharedExperts;
  const bias = command.bias;
  const scores = command.scratch(command.scratchBytes);
  const choice = scores + command.scratchBytes / 3;
  const ofGroups = choice + command.scratchBytes / 3;
  for (let r = command.takeItem(); r < command.numRows; r = command.takeItem()) {
    loadRowOf(command.logits, r, scores, experts);
    if (command.sigmoid) sigmoids(scores, experts);
    else softmax(scores, experts);
    for (let e: usize = 0; e < <usize>experts << 2; e += 4) {
      store<f32>(choice + e, load<f32>(scores + e) + (bias == 0 ? 0 : load<f32>(bias + e)));
    }
    if (command.topGroups < command.groups) keepGroups(command, choice, ofGroups);
    const ids = command.chosen + ((<usize>r * <usize>(topK + shared)) << 2);
    const parts = command.weights + ((<usize>r * <usize>(topK + shared)) << 2);
    let sum: f32 = 1e-20;
    for (let k: usize = 0; k < <usize>topK << 2; k += 4) {
      const e = takeBest(choice, experts);
      const score = load<f32>(scores + (<usize>e << 2));
      sum += score;
      store<i32>(ids + k, e);
      store<f32>(parts + k, score);
    }
    const factor = <f32>command.scale;
    for (let k: usize = 0; k < <usize>topK << 2; k += 4) {
      const part = load<f32>(parts + k);
      store<f32>(parts + k, (command.normalize ? part / sum : part) * factor);
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
function keepGroups(command: RouteExperts, choice: usize, ofGroups: usize): void {
  const groups = command.groups;
  const size = command.numExperts / groups;
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
    store<f32>(ofGroups + (<usize>g << 2), command.top2 && size > 1 ? first + second : first);
  }
  for (let k = 0; k < command.topGroups; k++) takeBest(ofGroups, groups);
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
