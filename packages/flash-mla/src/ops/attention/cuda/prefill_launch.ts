import type { BindContext, ParamSetters } from '../../../runtime/cuda/kernel.ts';
import type { SparsePrefillArgs } from '../contract.ts';
import type { SparsePrefillProblem } from './problems.ts';
import type { SparsePrefillParams } from './sm80/sm80_sparse_prefill.ts';

/** Parameters that every kernel of sparse prefill has. */
type CommonParams = Omit<SparsePrefillParams, 'q' | 'qStrides' | 'kvStrides' | 'tilesPerQuery'>;

/** Writes what a call says, but for how queries and rows are read and how the work is cut. */
export function setPrefill(
  set: ParamSetters<CommonParams>,
  context: BindContext,
  args: SparsePrefillArgs,
  problem: SparsePrefillProblem,
): void {
  set.kv(context.address(args.kv));
  set.seqLenKv(problem.seqLenKv);
  set.indices(context.address(args.indices));
  set.indexStrides(problem.indices.strides);
  set.topk(problem.topk);
  set.lengths(context.address(args.topkLength));
  set.sink(context.address(args.attnSink));
  set.out(context.address(args.out));
  set.maxLogits(context.address(args.maxLogits));
  set.lse(context.address(args.lse));
  set.numHeadsQ(problem.numHeadsQ);
  set.groupSize(problem.numHeadsQ / problem.numHeadsKv);
  set.naturalScale(problem.smScale);
  set.scale(problem.smScale * Math.LOG2E);
}
