import type {
  CudaKernel,
  KernelSpec,
  LaunchPlan,
  OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import type { RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import { type RouteExpertsArgs, routeExpertsOperation } from '../operation.ts';
import { buildRouteExperts, type RouteConfig, type RouteParams } from './sm80_route_experts.ts';

/** What kernel selection sees of a call. */
export interface RouteProblem extends RouteConfig {
  readonly rows: number;
}

const spec: KernelSpec<RouteConfig, RouteParams> = {
  name: 'sm80_route_experts',
  build: buildRouteExperts,
};

interface RoutePlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<RouteConfig, RouteParams> };
}

const configOf = ({ rows: _, ...config }: RouteProblem): RouteConfig => config;

/** Lanes of a warp: the most experts of a row, and groups that are chosen from. */
const lanes = 32;

/** The experts of rows on every GPU. */
export const portableRoute = {
  operation: routeExpertsOperation,
  problemOf: ({ logits, bias, experts, sharedExperts, ...options }) => ({
    ...{ rows: logits.shape[0] ?? 0, experts: logits.shape[1] ?? 0 },
    ...{ topK: (experts.shape[1] ?? 0) - sharedExperts, sharedExperts },
    ...{ scoring: options.scoring, groups: options.groups, topGroups: options.topGroups },
    ...{ groupScore: options.groupScore, normalize: options.normalize },
    ...{ hasBias: bias !== undefined, logits: logits.dtype as RowDType },
  }),
  accepts: ({ topK, sharedExperts, groups, topGroups }) =>
    topK + sharedExperts <= lanes && (groups <= lanes || topGroups === groups),
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem) => ({
    launches: {
      main: { kernel: spec, config: configOf(problem), grid: [problem.rows, 1, 1], overlap: true },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    return ({ logits, bias, experts, weights, scale }, { rows }, call) => {
      main.set.logits(context.address(logits));
      main.set.bias(context.address(bias));
      main.set.experts(context.address(experts));
      main.set.weights(context.address(weights));
      main.set.stride(strideBytes(logits));
      main.set.scale(scale);
      main.enqueue(call, [rows, 1, 1]);
    };
  },
} satisfies CudaKernel<RouteExpertsArgs, RouteProblem, RoutePlan>;
