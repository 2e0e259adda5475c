import type { OperationTools } from '../conformance/operation-tools.ts';
import { rmsNormBench } from './bench.ts';
import { rmsNormCases } from './cases.ts';

/** What the conformance suite and the command know of RMSNorm. */
export const normTools: OperationTools = { cases: rmsNormCases, benches: [rmsNormBench] };
