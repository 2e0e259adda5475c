import type { OperationTools } from '../conformance/operation-tools.ts';
import { ropeCases } from './cases.ts';

/** What the conformance suite knows of rotary position embedding. */
export const ropeTools: OperationTools = { cases: ropeCases, benches: [] };
