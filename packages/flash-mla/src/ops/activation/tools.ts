import type { OperationTools } from '../conformance/operation-tools.ts';
import { swiGluBench } from './bench.ts';
import { activationCases } from './cases.ts';

/** What the conformance suite and the command know of what is computed element by element. */
export const activationTools: OperationTools = { cases: activationCases, benches: [swiGluBench] };
