import type { OperationTools } from '../conformance/operation-tools.ts';
import { swapInCases } from './cases.ts';

/** What the conformance suite knows of swap-ins. */
export const swapInTools: OperationTools = { cases: swapInCases, benches: [] };
