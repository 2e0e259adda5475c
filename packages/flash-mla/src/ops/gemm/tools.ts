import type { OperationTools } from '../conformance/operation-tools.ts';
import { linearBench } from './bench.ts';
import { gemmCases } from './cases.ts';

/** What the conformance suite and the command know of matrix products. */
export const gemmTools: OperationTools = { cases: gemmCases, benches: [linearBench] };
