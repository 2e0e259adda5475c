/** What the conformance suite and the command know of the operations that have folders of their own. */

import type { ConformanceCase } from './cases/conformance/suite.ts';
import type { OperationBench } from './cli/bench/operation.ts';
import { gemmTools } from './gemm/tools.ts';
import { normTools } from './norm/tools.ts';

/** The tools of one family of operations. */
export interface OperationTools {
  readonly cases: readonly ConformanceCase[];
  /** For `flash-mla bench` and `flash-mla inspect`. */
  readonly benches: readonly OperationBench[];
}

export const operationTools: readonly OperationTools[] = [normTools, gemmTools];
