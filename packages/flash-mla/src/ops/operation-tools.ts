/** What the conformance suite and the command know of the operations that have folders of their own. */

import { activationTools } from './activation/tools.ts';
import type { OperationBench } from './bench/operation.ts';
import type { ConformanceCase } from './conformance/suite/suite.ts';
import { embeddingTools } from './embedding/tools.ts';
import { gemmTools } from './gemm/tools.ts';
import { moeTools } from './moe/tools.ts';
import { normTools } from './norm/tools.ts';
import { ropeTools } from './rope/tools.ts';

/** The tools of one family of operations. */
export interface OperationTools {
  readonly cases: readonly ConformanceCase[];
  /** For `flash-mla bench` and `flash-mla inspect`. */
  readonly benches: readonly OperationBench[];
}

export const operationTools: readonly OperationTools[] = [
  normTools,
  gemmTools,
  ropeTools,
  activationTools,
  embeddingTools,
  moeTools,
];
