import type { OperationTools } from '../operation-tools.ts';
import { swapInCases } from './cases.ts';

/** What the conformance suite knows of swap-ins. */
export const swapInTools: OperationTools = { cases: swapInCases, benches: [] };
