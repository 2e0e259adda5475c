import type { OperationTools } from '../conformance/operation-tools.ts';
import { embeddingCases } from './cases.ts';

/** What the conformance suite knows of rows of a table. */
export const embeddingTools: OperationTools = { cases: embeddingCases, benches: [] };
