import type { OperationTools } from '../conformance/operation-tools.ts';
import { sampleCases } from './cases.ts';

/** What the conformance suite knows of drawing tokens. */
export const samplingTools: OperationTools = { cases: sampleCases, benches: [] };
