/** What the conformance suite and the command know of each family of operations. */

import { activationTools } from './activation/tools.ts';
import { attentionTools } from './attention/tools.ts';
import type { InspectLine, OperationBench } from './bench/operation.ts';
import type { ConformanceCase } from './conformance/suite/suite.ts';
import { embeddingTools } from './embedding/tools.ts';
import { gemmTools } from './gemm/tools.ts';
import { kvCacheTools } from './kv-cache/tools.ts';
import { moeTools } from './moe/tools.ts';
import { normTools } from './norm/tools.ts';
import { ropeTools } from './rope/tools.ts';
import { samplingTools } from './sampling/tools.ts';
import { swapInTools } from './swap-in/tools.ts';

/** The tools of one family of operations. */
export interface OperationTools {
  /** Absent: they are in `ops/conformance`. */
  readonly cases?: readonly ConformanceCase[];
  /** For `flash-mla bench` and `flash-mla inspect`. */
  readonly benches: readonly OperationBench[];
  /** What `flash-mla inspect` shows besides. */
  readonly inspects?: readonly InspectLine[];
}

export const operationTools: readonly OperationTools[] = [
  attentionTools,
  kvCacheTools,
  normTools,
  gemmTools,
  ropeTools,
  activationTools,
  embeddingTools,
  moeTools,
  samplingTools,
  swapInTools,
];

/** The benchmarks by name, in the order of the help. */
export const benchOperations: Readonly<Record<string, OperationBench>> = Object.fromEntries(
  operationTools.flatMap(({ benches }) => benches.map((bench) => [bench.name, bench])),
);
