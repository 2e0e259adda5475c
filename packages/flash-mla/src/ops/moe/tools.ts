import type { OperationTools } from '../conformance/operation-tools.ts';
import { expertCases, routeCases } from './cases.ts';

/** What the conformance suite knows of mixtures of experts. */
export const moeTools: OperationTools = { cases: [...routeCases, ...expertCases], benches: [] };
