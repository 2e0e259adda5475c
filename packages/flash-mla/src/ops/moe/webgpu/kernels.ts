import type { TensorView } from '../../../runtime/tensor/view.ts';
import { defineWebGpuKernel } from '../../../runtime/webgpu/kernel.ts';
import { type BoundTensor, bindAll } from '../../../runtime/webgpu/launch/bind-all.ts';
import { eachRows, hasWholeWords, resourcesOf } from '../../../runtime/webgpu/launch/rows.ts';
import { positionsPerBinding, slicePositions } from '../../../runtime/webgpu/launch/slices.ts';
import type { WebGpuBuffer } from '../../../runtime/webgpu/runtime/memory.ts';
import { flatGrid, type LaunchTarget } from '../../../runtime/webgpu/runtime/runtime.ts';
import { strideOf } from '../../../runtime/webgpu/runtime/views.ts';
import type { RowDType, RowOutDType } from '../../../runtime/webgpu/wgsl/rows.ts';
import {
  type ExpertMlpArgs,
  expertMlpOperation,
  type RouteExpertsArgs,
  routeExpertsOperation,
} from '../operation.ts';
import {
  type CombineConfig,
  columnsOf,
  combineKernel,
  type ProductConfig,
  productKernel,
} from './expert-kernels.ts';
import { type RouteConfig, routeKernel } from './route-kernel.ts';

type Bound = Readonly<Record<string, BoundTensor>>;
const startOf = (bound: Bound, name: string) => bound[name]?.start ?? 0;

function launchRoute(runtime: LaunchTarget, args: RouteExpertsArgs): void {
  const { bias, scoring, groups, topGroups, groupScore, normalize, scale } = args;
  const { logits, experts, weights, sharedExperts } = args;
  const config: RouteConfig = {
    ...{ logits: logits.dtype as RowDType, experts: logits.shape[1] as number },
    ...{ topK: (experts.shape[1] as number) - sharedExperts, sharedExperts, scoring },
    ...{ groups, topGroups, groupScore, normalize },
    hasBias: bias !== undefined,
  };
  eachRows(runtime, { logits, experts, weights }, (part, rows) => {
    const reads = { logits: part.logits, bias };
    bindAll(runtime, { reads, writes: { experts: part.experts, weights: part.weights } }, (bound) =>
      runtime.dispatch({
        name: `route ${Object.values(config).join(' ')}`,
        ...{ source: () => routeKernel(config), config },
        params: {
          ...{ rows, scale, logitsStart: startOf(bound, 'logits') },
          logitsStride: strideOf(part.logits, 0),
          ...(bias && { biasStart: startOf(bound, 'bias') }),
          expertsStart: startOf(bound, 'experts'),
          weightsStart: startOf(bound, 'weights'),
        },
        storage: resourcesOf(bound),
        workgroups: flatGrid(rows, runtime.capabilities.workgroupsPerDimension),
      }),
    );
  });
}

/** Rows whose intermediate results, and the rows themselves, fit bindings and a grid. */
function launchExperts(runtime: LaunchTarget, args: ExpertMlpArgs): void {
  const { x, experts, weights, residual, out } = args;
  const [topK, hidden, width] = [experts, x, args.down].map((view) => view.shape.at(-1)) as [
    number,
    number,
    number,
  ];
  const { bindingBytes, offsetAlignment, workgroupsPerDimension } = runtime.capabilities;
  const room = bindingBytes - 2 * offsetAlignment;
  const most = Math.max(
    1,
    Math.min(
      Math.floor(room / (topK * Math.max(hidden, width) * 4)),
      Math.floor(workgroupsPerDimension / topK),
      ...[x, out, residual ?? out].map((view) => positionsPerBinding(runtime, view)),
    ),
  );
  const rows = x.shape[0] as number;
  for (let first = 0; first < rows; first += most) {
    const end = Math.min(rows, first + most);
    const slice = (view: TensorView) => slicePositions(view, first, end);
    const part = {
      ...args,
      ...{ x: slice(x), experts: slice(experts), weights: slice(weights), out: slice(out) },
      residual: residual && slice(residual),
    };
    const pairs = (end - first) * topK;
    runtime.withScratch(pairs * width * 4, (activations) =>
      runtime.withScratch(pairs * hidden * 4, (parts) => {
        const up = scratchView(activations, pairs, width);
        const down = scratchView(parts, pairs, hidden);
        launchProduct(runtime, 'up', part, part.x, up);
        launchProduct(runtime, 'down', part, up, down);
        launchCombine(runtime, part, down);
      }),
    );
  }
}

function scratchView(buffer: WebGpuBuffer, rows: number, columns: number): TensorView {
  return { buffer, byteOffset: 0, dtype: 'f32', shape: [rows, columns], strides: [columns, 1] };
}

/** The experts in as many parts as fit a binding; of each, the pairs that name them. */
function launchProduct(
  runtime: LaunchTarget,
  role: ProductConfig['role'],
  args: ExpertMlpArgs,
  x: TensorView,
  out: TensorView,
): void {
  const { experts } = args;
  const isUp = role === 'up';
  const weights = isUp ? args.gateUp : args.down;
  const scales = isUp ? args.gateUpScales : args.downScales;
  const count = weights.shape[0] as number;
  const config: ProductConfig = {
    ...{ role, x: x.dtype as RowDType, weight: weights.dtype as RowOutDType },
    shares: runtime.capabilities.tuning.sharesProducts,
  };
  const [pairs, columns] = out.shape as [number, number];
  const most = positionsPerBinding(runtime, weights);
  for (let first = 0; first < count; first += most) {
    const weight = slicePositions(weights, first, Math.min(count, first + most));
    bindAll(runtime, { reads: { x, weight, experts, scales }, writes: { out } }, (bound) =>
      runtime.dispatch({
        name: `experts ${Object.values(config).join(' ')}`,
        ...{ source: () => productKernel(config), config },
        params: {
          ...{ pairs, pairsPerRow: isUp ? (experts.shape[1] as number) : 1, columns },
          ...{ depth: weights.shape[2] as number, firstExpert: first },
          ...{ xStart: startOf(bound, 'x'), xStride: strideOf(x, 0) },
          ...{ expertsStart: startOf(bound, 'experts'), outStart: startOf(bound, 'out') },
          boundExperts: weight.shape[0] as number,
          ...{ weightStart: startOf(bound, 'weight'), weightStride: strideOf(weight, 1) },
          weightExpert: strideOf(weight, 0),
          ...(scales && {
            ...{ scalesStart: startOf(bound, 'scales'), scalesStride: strideOf(scales, 1) },
            scalesExpert: strideOf(scales, 0),
          }),
        },
        storage: resourcesOf(bound),
        workgroups: [Math.ceil(columns / columnsOf(config)), pairs, 1],
      }),
    );
  }
}

function isSame(a: TensorView, b: TensorView): boolean {
  const isThere = a.buffer === b.buffer && a.byteOffset === b.byteOffset && a.dtype === b.dtype;
  return isThere && strideOf(a, 0) === strideOf(b, 0);
}

function launchCombine(runtime: LaunchTarget, args: ExpertMlpArgs, parts: TensorView): void {
  const { experts, weights, residual, out, gateUp } = args;
  const own = residual && isSame(residual, out) ? undefined : residual;
  const [rows, columns] = out.shape as [number, number];
  const reads = { ids: experts, weights, parts, residual: own };
  bindAll(runtime, { reads, writes: { out } }, (bound) => {
    const config: CombineConfig = {
      ...{ topK: experts.shape[1] as number, out: out.dtype as RowDType },
      residual: residual && ((own?.dtype as RowDType | undefined) ?? 'out'),
      wholeWords: hasWholeWords(out, bound.out, columns),
    };
    runtime.dispatch({
      name: `combine experts ${Object.values(config).join(' ')}`,
      ...{ source: () => combineKernel(config), config },
      params: {
        ...{ rows, columns, experts: gateUp.shape[0] as number },
        ...{ expertsStart: startOf(bound, 'ids'), weightsStart: startOf(bound, 'weights') },
        partsStart: startOf(bound, 'parts'),
        ...(own && {
          ...{ residualStart: startOf(bound, 'residual'), residualStride: strideOf(own, 0) },
        }),
        ...{ outStart: startOf(bound, 'out'), outStride: strideOf(out, 0) },
      },
      storage: resourcesOf(bound),
      workgroups: flatGrid(rows, runtime.capabilities.workgroupsPerDimension),
    });
  });
}

/** Mixtures of experts on WebGPU. */
export const moeWebGpuKernels = [
  defineWebGpuKernel({ operation: routeExpertsOperation, launch: launchRoute }),
  defineWebGpuKernel({ operation: expertMlpOperation, launch: launchExperts }),
];
