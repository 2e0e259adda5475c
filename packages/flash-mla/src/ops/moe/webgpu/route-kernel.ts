import {
  type KernelSource,
  kernel,
  type StorageBinding,
} from '../../../runtime/webgpu/wgsl/kernel.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import { type RowDType, rowReader } from '../../../runtime/webgpu/wgsl/rows.ts';
import { join } from '../../../runtime/webgpu/wgsl/text.ts';

/** What the WGSL depends on: all of it is a model's. */
export interface RouteConfig {
  readonly logits: RowDType;
  readonly experts: number;
  readonly topK: number;
  readonly sharedExperts: number;
  readonly scoring: 'softmax' | 'sigmoid';
  readonly groups: number;
  readonly topGroups: number;
  readonly groupScore: 'max' | 'top2';
  readonly normalize: boolean;
  readonly hasBias: boolean;
}

const workgroupSize = 64;

/** Less than every score, and a number that WGSL has. */
const lowest = '-3.4e38';

/** A workgroup takes a row: all of it computes the scores, one invocation chooses. */
export function routeKernel(config: RouteConfig): KernelSource {
  const { logits, experts, topK, scoring, groups, topGroups, normalize, hasBias } = config;
  const { sharedExperts } = config;
  const storage: StorageBinding[] = [{ name: 'logits', access: 'read', element: 'u32' }];
  if (hasBias) storage.push({ name: 'bias', access: 'read', element: 'f32' });
  storage.push({ name: 'experts', access: 'read_write', element: 'u32' });
  storage.push({ name: 'weights', access: 'read_write', element: 'f32' });
  return kernel(
    `route ${scoring} of ${experts}`,
    new Params({
      ...{ rows: 'u32', scale: 'f32', logitsStart: 'u32', logitsStride: 'u32' },
      ...(hasBias && { biasStart: 'u32' }),
      ...{ expertsStart: 'u32', weightsStart: 'u32' },
    }),
    storage,
    join(
      rowReader('logits', logits),
      `var<workgroup> scores: array<f32, ${experts}>;
      var<workgroup> choice: array<f32, ${experts}>;
      var<private> ofGroups: array<f32, ${groups}>;

      @compute @workgroup_size(${workgroupSize})
      fn main(
        @builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
      ) {
        let row = workgroup.x + workgroup.y * workgroups.x;
        if (row >= params.rows) { return; }
        for (var e = thread; e < ${experts}u; e += ${workgroupSize}u) {
          let logit = readLogits(params.logitsStart + row * params.logitsStride + e);
          scores[e] = ${scoring === 'sigmoid' ? '1.0 / (1.0 + exp(-logit))' : 'logit'};
        }
        workgroupBarrier();
        if (thread > 0u) { return; }
        ${scoring === 'softmax' ? softmax(experts) : ''}
        for (var e = 0u; e < ${experts}u; e++) {
          choice[e] = scores[e]${hasBias ? ' + bias[params.biasStart + e]' : ''};
        }
        ${topGroups < groups ? maskGroups(config) : ''}
        var sum = 1e-20;
        let place = row * ${topK + sharedExperts}u;
        for (var rank = 0u; rank < ${topK}u; rank++) {
          var best = 0u;
          var most = ${lowest};
          for (var e = 0u; e < ${experts}u; e++) {
            if (choice[e] > most) { most = choice[e]; best = e; }
          }
          choice[best] = ${lowest};
          sum += scores[best];
          experts[params.expertsStart + place + rank] = best;
          weights[params.weightsStart + place + rank] = scores[best];
        }
        for (var rank = 0u; rank < ${topK}u; rank++) {
          let at = params.weightsStart + place + rank;
          weights[at] = weights[at]${normalize ? ' / sum' : ''} * params.scale;
        }
        for (var s = 0u; s < ${sharedExperts}u; s++) {
          experts[params.expertsStart + place + ${topK}u + s] = ${experts}u + s;
          weights[params.weightsStart + place + ${topK}u + s] = 1.0;
        }
      }`,
    ),
  );
}

const softmax = (experts: number) => `
  var largest = scores[0];
  for (var e = 1u; e < ${experts}u; e++) { largest = max(largest, scores[e]); }
  var total = 0.0;
  for (var e = 0u; e < ${experts}u; e++) {
    scores[e] = exp(scores[e] - largest);
    total += scores[e];
  }
  for (var e = 0u; e < ${experts}u; e++) { scores[e] /= total; }`;

/** Takes the experts of all but the best groups out of the choice. */
function maskGroups({ experts, groups, topGroups, groupScore }: RouteConfig): string {
  const size = experts / groups;
  const isSum = groupScore === 'top2' && size > 1;
  return `
    for (var g = 0u; g < ${groups}u; g++) {
      var first = ${lowest};
      var second = ${lowest};
      for (var i = 0u; i < ${size}u; i++) {
        let value = choice[g * ${size}u + i];
        second = max(second, min(first, value));
        first = max(first, value);
      }
      ofGroups[g] = ${isSum ? 'first + second' : 'first'};
    }
    for (var i = 0u; i < ${groups - topGroups}u; i++) {
      // The worst group goes, of equals the last one.
      var worst = 0u;
      var least = 3.4e38;
      for (var g = 0u; g < ${groups}u; g++) {
        if (ofGroups[g] <= least) { least = ofGroups[g]; worst = g; }
      }
      ofGroups[worst] = 3.402e38;
      for (var e = 0u; e < ${size}u; e++) { choice[worst * ${size}u + e] = ${lowest}; }
    }`;
}
