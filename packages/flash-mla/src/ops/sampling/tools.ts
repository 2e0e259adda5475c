import type { OperationTools } from '../operation-tools.ts';
import { sampleCases } from './cases.ts';

/** What the conformance suite knows of drawing tokens. */
export const samplingTools: OperationTools = { cases: sampleCases, benches: [] };
