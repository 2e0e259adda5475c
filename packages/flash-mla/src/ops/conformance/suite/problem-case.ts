import type { Problem } from '../problem.ts';
import type { CaseParams, ProblemKind } from '../problem-kind.ts';
import type { CallVariant } from './call-variant.ts';
import { caseName } from './case-name.ts';
import type { ConformanceCase } from './conformance-case.ts';
import { caseCost } from './cost.ts';
import { executeCase } from './execute.ts';

/** A case of the suite that is a problem of a kind, called in the way that its parameters say. */
export function problemCase<P extends Problem, Params extends CaseParams & CallVariant>(
  kind: ProblemKind<P, Params>,
  params: Params,
  quick: boolean,
): ConformanceCase {
  const name = caseName(params);
  return {
    ...{ name, op: params.op, quick, cost: caseCost(kind, params) },
    execute: (device, options) => executeCase(device, kind, { name, params }, options),
  };
}
