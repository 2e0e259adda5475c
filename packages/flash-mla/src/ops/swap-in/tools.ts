import type { OperationTools } from '../conformance/operation-tools.ts';
import { swapInCases } from './cases.ts';
import { copyRowsCases } from './copy-rows-cases.ts';

/** What the conformance suite knows of swap-ins. */
export const swapInTools: OperationTools = {
  cases: [...swapInCases, ...copyRowsCases],
  benches: [],
};
