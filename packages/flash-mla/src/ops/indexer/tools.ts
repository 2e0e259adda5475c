import type { OperationTools } from '../conformance/operation-tools.ts';
import { indexTopKBench } from './bench/index-top-k.ts';
import { mqaLogitsBench } from './bench/mqa-logits.ts';
import { indexRowsCases } from './cases/index-rows.ts';
import { indexTopKCases } from './cases/index-top-k.ts';
import { mqaLogitsCases } from './cases/mqa-logits.ts';

/** What the conformance suite, `bench` and `inspect` know of the indexer. */
export const indexerTools: OperationTools = {
  cases: [...indexRowsCases, ...mqaLogitsCases, ...indexTopKCases],
  benches: [mqaLogitsBench, indexTopKBench],
};
