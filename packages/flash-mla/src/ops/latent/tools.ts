import type { OperationTools } from '../conformance/operation-tools.ts';
import { latentCases } from './cases.ts';

/** What the conformance suite knows of latents. */
export const latentTools: OperationTools = { cases: latentCases, benches: [] };
