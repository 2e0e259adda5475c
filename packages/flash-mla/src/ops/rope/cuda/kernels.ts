import {
  type CudaKernel,
  defineCudaKernel,
  type KernelSpec,
  type LaunchPlan,
  type OperationPlan,
} from '../../../runtime/cuda/kernel.ts';
import { strideBytes } from '../../kernel-lib/cuda/rows/problem.ts';
import { type RopeArgs, ropeOperation } from '../operation.ts';
import { buildApplyRope, type RopeConfig, type RopeParams, ropeCtas } from './sm80_apply_rope.ts';

/** What kernel selection sees of a call. */
export interface RopeProblem extends RopeConfig {
  readonly rows: number;
  readonly heads: number;
  readonly known: number;
}

const spec: KernelSpec<RopeConfig, RopeParams> = {
  name: 'sm80_apply_rope',
  build: buildApplyRope,
};

interface RopePlan extends OperationPlan {
  readonly launches: { readonly main: LaunchPlan<RopeConfig, RopeParams> };
}

const configOf = ({ dim, x, out, interleaved, hasPositions }: RopeProblem): RopeConfig => ({
  ...{ dim, x, out, interleaved, hasPositions },
});

const pairsOf = ({ rows, heads, dim }: RopeProblem) => (rows * heads * dim) / 2;

/** Rotary position embedding on every GPU. */
export const portableRope = {
  operation: ropeOperation,
  problemOf({ x, cos, positions, interleaved, out }) {
    const [rows = 0, heads = 0, dim = 0] = x.shape;
    return {
      ...{ rows, heads, dim, known: cos.shape[0] ?? 0, interleaved },
      ...{ x: x.dtype as 'bf16' | 'f32', out: out.dtype as 'bf16' | 'f32' },
      hasPositions: positions !== undefined,
    };
  },
  accepts: (problem) => pairsOf(problem) < 2 ** 31,
  keyOf: (problem) => ({ ...configOf(problem) }),
  plan: (problem) => ({
    launches: {
      main: { kernel: spec, config: configOf(problem), grid: [ropeCtas(pairsOf(problem)), 1, 1] },
    },
    workspaceBytes: 0,
  }),
  bind(context, { launches }) {
    const main = context.prepare(launches.main);
    const { set } = main;
    return (args, problem, call) => {
      set.x(context.address(args.x));
      set.cos(context.address(args.cos));
      set.sin(context.address(args.sin));
      set.positions(context.address(args.positions));
      set.out(context.address(args.out));
      set.heads(problem.heads);
      set.known(problem.known);
      set.count(pairsOf(problem));
      set.xStride(strideBytes(args.x, 0));
      set.xHeadStride(strideBytes(args.x, 1));
      set.outStride(strideBytes(args.out, 0));
      set.outHeadStride(strideBytes(args.out, 1));
      main.enqueue(call, [ropeCtas(pairsOf(problem)), 1, 1]);
    };
  },
} satisfies CudaKernel<RopeArgs, RopeProblem, RopePlan>;

export const ropeCudaKernels = [defineCudaKernel(portableRope)];
